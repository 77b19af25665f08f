#!/usr/bin/env bash
#
# A first deployment: to be run from the root of Gatepost's tree, in which it
# writes nothing. It ends at the first command that fails; go on by hand from
# there, or with scripts/deploy, which finds out what is there already.

set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

[ "$(aws sts get-caller-identity --region=us-east-1 --output=text --query=Account)" = 123456789012 ] || { echo 'the AWS credentials are not of account 123456789012' >&2; exit 1; }
PROJECT_NUMBER=$(gcloud projects describe maker-prod --format='value(projectNumber)')

if [ "${1:-}" != go-on ]; then

# APIs
gcloud services enable artifactregistry.googleapis.com cloudbuild.googleapis.com cloudfunctions.googleapis.com cloudresourcemanager.googleapis.com cloudscheduler.googleapis.com firestore.googleapis.com iam.googleapis.com iamcredentials.googleapis.com logging.googleapis.com monitoring.googleapis.com pubsub.googleapis.com run.googleapis.com secretmanager.googleapis.com storage.googleapis.com sts.googleapis.com --project=maker-prod --quiet

# Service accounts, and the skill proxies' roles and logs
gcloud iam service-accounts create gatepost-build '--display-name=Builds Gatepost'\''s functions' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-eu-acceptgrant '--display-name=Gatepost EU: AcceptGrant' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-eu-skillevent '--display-name=Gatepost EU: SkillEvent' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-eu-refreshtokens '--display-name=Gatepost EU: RefreshTokens' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-eu-refreshshard '--display-name=Gatepost EU: RefreshShard' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-eu-sendevent '--display-name=Gatepost EU: SendEvent' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-eu-proxy '--display-name=Gatepost EU: calls AcceptGrant and SkillEvent from AWS' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-eu-push-refreshshard '--display-name=Gatepost EU: pushes to RefreshShard' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-eu-push-sendevent '--display-name=Gatepost EU: pushes to SendEvent' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-eu-scheduler '--display-name=Gatepost EU: calls RefreshTokens' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-fe-acceptgrant '--display-name=Gatepost FE: AcceptGrant' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-fe-skillevent '--display-name=Gatepost FE: SkillEvent' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-fe-refreshtokens '--display-name=Gatepost FE: RefreshTokens' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-fe-refreshshard '--display-name=Gatepost FE: RefreshShard' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-fe-sendevent '--display-name=Gatepost FE: SendEvent' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-fe-proxy '--display-name=Gatepost FE: calls AcceptGrant and SkillEvent from AWS' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-fe-push-refreshshard '--display-name=Gatepost FE: pushes to RefreshShard' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-fe-push-sendevent '--display-name=Gatepost FE: pushes to SendEvent' --project=maker-prod --quiet
gcloud iam service-accounts create gatepost-fe-scheduler '--display-name=Gatepost FE: calls RefreshTokens' --project=maker-prod --quiet
aws iam create-role --role-name=lights-proxy-fe '--assume-role-policy-document={"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}]}' '--description=Of the Lambda that passes on what Alexa sends to the skill in FE.' --region=us-west-2 --output=json
aws logs create-log-group --log-group-name=/aws/lambda/lights-proxy-fe --region=us-west-2 --output=json
aws logs put-retention-policy --log-group-name=/aws/lambda/lights-proxy-fe --retention-in-days=60 --region=us-west-2 --output=json
aws iam put-role-policy --role-name=lights-proxy-fe --policy-name=log '--policy-document={"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"arn:aws:logs:us-west-2:123456789012:log-group:/aws/lambda/lights-proxy-fe:*"}]}' --region=us-west-2 --output=json

# Secrets, without a value
gcloud secrets create gatepost-lwa-credentials --replication-policy=automatic --project=maker-prod --quiet
gcloud secrets create gatepost-grantee-credentials --replication-policy=automatic --project=maker-prod --quiet
gcloud secrets create gatepost-token-keyset-eu --replication-policy=user-managed --locations=europe-west1 --project=maker-prod --quiet
gcloud secrets create gatepost-token-keyset-fe --replication-policy=user-managed --locations=us-west1 --project=maker-prod --quiet
fi

# Nothing starts before each secret has a value: without one this stops, with
# status 3. Then give it one, and run this again with the argument go-on.
empty=
need() {
  [ -n "$(gcloud secrets versions list "$1" --project=maker-prod --filter=state=ENABLED --limit=1 --format='value(name)')" ] || empty="$empty
$2"
}
need gatepost-lwa-credentials 'gcloud secrets versions add gatepost-lwa-credentials --project=maker-prod --data-file=FILE'
need gatepost-grantee-credentials 'gcloud secrets versions add gatepost-grantee-credentials --project=maker-prod --data-file=FILE'
need gatepost-token-keyset-eu 'go run ./scripts/keyset create projects/maker-prod/secrets/gatepost-token-keyset-eu'
need gatepost-token-keyset-fe 'go run ./scripts/keyset create projects/maker-prod/secrets/gatepost-token-keyset-fe'
if [ -n "$empty" ]; then
  printf '%s%s\n' '# Nothing starts before each secret has a value. FILE holds {"client_id":"…","client_secret":"…"}: delete it afterwards.' "$empty" >&2
  exit 3
fi

# Packages
scripts/package "${WORK:?}"/source.zip
scripts/build-proxy "${WORK:?}"/skillproxy.zip
unzip -q "${WORK:?}"/source.zip -d "${WORK:?}"/source
SOURCE_HASH=$(sha256sum "${WORK:?}"/source.zip | cut -c1-32)

# Databases and topics
gcloud firestore databases create --database=gatepost-eu --location=europe-west1 --type=firestore-native --edition=standard --delete-protection --enable-pitr --project=maker-prod --quiet
gcloud firestore databases create --database=gatepost-fe --location=us-west1 --type=firestore-native --edition=standard --delete-protection --enable-pitr --project=maker-prod --quiet
gcloud pubsub topics create grant-events --message-retention-duration=604800s --project=maker-prod --quiet
gcloud pubsub topics create dead-letters --project=maker-prod --quiet
gcloud pubsub topics create refresh-dead-letters --project=maker-prod --quiet
gcloud pubsub topics create gatepost-eu-refresh --project=maker-prod --quiet
gcloud pubsub topics create device-events-eu --message-storage-policy-allowed-regions=europe-west1 --project=maker-prod --quiet
gcloud pubsub topics create gatepost-fe-refresh --project=maker-prod --quiet
gcloud pubsub topics create device-events-fe --message-storage-policy-allowed-regions=us-west1 --project=maker-prod --quiet

# Indexes, and what the functions may do
gcloud firestore indexes composite create --collection-group=customers --query-scope=collection --field-config=field-path=bucket,order=ascending --field-config=field-path=refreshDue,order=ascending --database=gatepost-eu --project=maker-prod --quiet
gcloud firestore indexes fields update '*' --collection-group=customers --disable-indexes --database=gatepost-eu --project=maker-prod --quiet
gcloud firestore indexes fields update '*' --collection-group=deliveries --disable-indexes --database=gatepost-eu --project=maker-prod --quiet
gcloud firestore indexes fields update '*' --collection-group=accounts --disable-indexes --database=gatepost-eu --project=maker-prod --quiet
gcloud firestore indexes fields update customer --collection-group=accounts --index=order=ascending --database=gatepost-eu --project=maker-prod --quiet
gcloud firestore indexes fields update expireAt --collection-group=deliveries --disable-indexes --database=gatepost-eu --project=maker-prod --quiet
gcloud firestore fields ttls update expireAt --collection-group=deliveries --enable-ttl --database=gatepost-eu --project=maker-prod --quiet
gcloud firestore indexes fields update expireAt --collection-group=accounts --disable-indexes --database=gatepost-eu --project=maker-prod --quiet
gcloud firestore fields ttls update expireAt --collection-group=accounts --enable-ttl --database=gatepost-eu --project=maker-prod --quiet
gcloud firestore indexes composite create --collection-group=customers --query-scope=collection --field-config=field-path=bucket,order=ascending --field-config=field-path=refreshDue,order=ascending --database=gatepost-fe --project=maker-prod --quiet
gcloud firestore indexes fields update '*' --collection-group=customers --disable-indexes --database=gatepost-fe --project=maker-prod --quiet
gcloud firestore indexes fields update '*' --collection-group=deliveries --disable-indexes --database=gatepost-fe --project=maker-prod --quiet
gcloud firestore indexes fields update '*' --collection-group=accounts --disable-indexes --database=gatepost-fe --project=maker-prod --quiet
gcloud firestore indexes fields update customer --collection-group=accounts --index=order=ascending --database=gatepost-fe --project=maker-prod --quiet
gcloud firestore indexes fields update expireAt --collection-group=deliveries --disable-indexes --database=gatepost-fe --project=maker-prod --quiet
gcloud firestore fields ttls update expireAt --collection-group=deliveries --enable-ttl --database=gatepost-fe --project=maker-prod --quiet
gcloud firestore indexes fields update expireAt --collection-group=accounts --disable-indexes --database=gatepost-fe --project=maker-prod --quiet
gcloud firestore fields ttls update expireAt --collection-group=accounts --enable-ttl --database=gatepost-fe --project=maker-prod --quiet
gcloud projects add-iam-policy-binding maker-prod --role=roles/artifactregistry.writer --member=serviceAccount:gatepost-build@maker-prod.iam.gserviceaccount.com --condition=None --quiet
gcloud projects add-iam-policy-binding maker-prod --role=roles/logging.logWriter --member=serviceAccount:gatepost-build@maker-prod.iam.gserviceaccount.com --condition=None --quiet
gcloud projects add-iam-policy-binding maker-prod --role=roles/storage.objectViewer --member=serviceAccount:gatepost-build@maker-prod.iam.gserviceaccount.com --condition=None --quiet
gcloud pubsub topics add-iam-policy-binding dead-letters --role=roles/pubsub.publisher --member=serviceAccount:service-"${PROJECT_NUMBER:?}"@gcp-sa-pubsub.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud pubsub topics add-iam-policy-binding refresh-dead-letters --role=roles/pubsub.publisher --member=serviceAccount:service-"${PROJECT_NUMBER:?}"@gcp-sa-pubsub.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com '--condition=title=gatepost-eu,expression=resource.name == "projects/maker-prod/databases/gatepost-eu"' --quiet
gcloud secrets add-iam-policy-binding gatepost-token-keyset-eu --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud secrets add-iam-policy-binding gatepost-lwa-credentials --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud secrets add-iam-policy-binding gatepost-grantee-credentials --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud pubsub topics add-iam-policy-binding grant-events --role=roles/pubsub.publisher --member=serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-eu-skillevent@maker-prod.iam.gserviceaccount.com '--condition=title=gatepost-eu,expression=resource.name == "projects/maker-prod/databases/gatepost-eu"' --quiet
gcloud secrets add-iam-policy-binding gatepost-grantee-credentials --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-eu-skillevent@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud pubsub topics add-iam-policy-binding gatepost-eu-refresh --role=roles/pubsub.publisher --member=serviceAccount:gatepost-eu-refreshtokens@maker-prod.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com '--condition=title=gatepost-eu,expression=resource.name == "projects/maker-prod/databases/gatepost-eu"' --quiet
gcloud secrets add-iam-policy-binding gatepost-token-keyset-eu --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud secrets add-iam-policy-binding gatepost-lwa-credentials --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud pubsub topics add-iam-policy-binding grant-events --role=roles/pubsub.publisher --member=serviceAccount:gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com '--condition=title=gatepost-eu,expression=resource.name == "projects/maker-prod/databases/gatepost-eu"' --quiet
gcloud secrets add-iam-policy-binding gatepost-token-keyset-eu --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud secrets add-iam-policy-binding gatepost-lwa-credentials --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud pubsub topics add-iam-policy-binding grant-events --role=roles/pubsub.publisher --member=serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud pubsub topics add-iam-policy-binding dead-letters --role=roles/pubsub.publisher --member=serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-fe-acceptgrant@maker-prod.iam.gserviceaccount.com '--condition=title=gatepost-fe,expression=resource.name == "projects/maker-prod/databases/gatepost-fe"' --quiet
gcloud secrets add-iam-policy-binding gatepost-token-keyset-fe --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-fe-acceptgrant@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud secrets add-iam-policy-binding gatepost-lwa-credentials --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-fe-acceptgrant@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud secrets add-iam-policy-binding gatepost-grantee-credentials --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-fe-acceptgrant@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud pubsub topics add-iam-policy-binding grant-events --role=roles/pubsub.publisher --member=serviceAccount:gatepost-fe-acceptgrant@maker-prod.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-fe-skillevent@maker-prod.iam.gserviceaccount.com '--condition=title=gatepost-fe,expression=resource.name == "projects/maker-prod/databases/gatepost-fe"' --quiet
gcloud secrets add-iam-policy-binding gatepost-grantee-credentials --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-fe-skillevent@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud pubsub topics add-iam-policy-binding gatepost-fe-refresh --role=roles/pubsub.publisher --member=serviceAccount:gatepost-fe-refreshtokens@maker-prod.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-fe-refreshshard@maker-prod.iam.gserviceaccount.com '--condition=title=gatepost-fe,expression=resource.name == "projects/maker-prod/databases/gatepost-fe"' --quiet
gcloud secrets add-iam-policy-binding gatepost-token-keyset-fe --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-fe-refreshshard@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud secrets add-iam-policy-binding gatepost-lwa-credentials --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-fe-refreshshard@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud pubsub topics add-iam-policy-binding grant-events --role=roles/pubsub.publisher --member=serviceAccount:gatepost-fe-refreshshard@maker-prod.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-fe-sendevent@maker-prod.iam.gserviceaccount.com '--condition=title=gatepost-fe,expression=resource.name == "projects/maker-prod/databases/gatepost-fe"' --quiet
gcloud secrets add-iam-policy-binding gatepost-token-keyset-fe --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-fe-sendevent@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud secrets add-iam-policy-binding gatepost-lwa-credentials --role=roles/secretmanager.secretAccessor --member=serviceAccount:gatepost-fe-sendevent@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud pubsub topics add-iam-policy-binding grant-events --role=roles/pubsub.publisher --member=serviceAccount:gatepost-fe-sendevent@maker-prod.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud pubsub topics add-iam-policy-binding dead-letters --role=roles/pubsub.publisher --member=serviceAccount:gatepost-fe-sendevent@maker-prod.iam.gserviceaccount.com --project=maker-prod --quiet

# Functions
gcloud functions deploy gatepost-eu-acceptgrant --gen2 --region=europe-west1 --update-labels=gatepost-source="${SOURCE_HASH:?}" --runtime=go126 --entry-point=AcceptGrant '--set-build-env-vars=GOOGLE_GOLDFLAGS=-s -w' --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com --service-account=gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=80 --min-instances=1 --max-instances=10 --ingress-settings=all '--set-env-vars=^;^ALEXA_REGIONS=EU;FIRESTORE_DATABASE=gatepost-eu;GOOGLE_CLOUD_PROJECT=maker-prod;GRANTEE_AUDIENCE=gatepost;GRANTEE_CLAIM=customer;GRANTEE_CREDENTIALS=projects/maker-prod/secrets/gatepost-grantee-credentials;GRANTEE_RESOLVER=introspection:https://id.maker.example/token?of=a,b;GRANT_EVENTS_TOPIC=grant-events;GRANT_STORE=firestore;LWA_CREDENTIALS=projects/maker-prod/secrets/gatepost-lwa-credentials;SKILL=lights;TOKEN_KEYSET=projects/maker-prod/secrets/gatepost-token-keyset-eu' --source="${WORK:?}"/source --trigger-http --no-allow-unauthenticated --serve-all-traffic-latest-revision --project=maker-prod --quiet
gcloud functions deploy gatepost-eu-skillevent --gen2 --region=europe-west1 --update-labels=gatepost-source="${SOURCE_HASH:?}" --runtime=go126 --entry-point=SkillEvent '--set-build-env-vars=GOOGLE_GOLDFLAGS=-s -w' --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com --service-account=gatepost-eu-skillevent@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=80 --min-instances=0 --max-instances=10 --ingress-settings=all '--set-env-vars=^;^ALEXA_REGIONS=EU;FIRESTORE_DATABASE=gatepost-eu;GOOGLE_CLOUD_PROJECT=maker-prod;GRANTEE_AUDIENCE=gatepost;GRANTEE_CLAIM=customer;GRANTEE_CREDENTIALS=projects/maker-prod/secrets/gatepost-grantee-credentials;GRANTEE_RESOLVER=introspection:https://id.maker.example/token?of=a,b;GRANT_STORE=firestore;SKILL=lights' --source="${WORK:?}"/source --trigger-http --no-allow-unauthenticated --serve-all-traffic-latest-revision --project=maker-prod --quiet
gcloud functions deploy gatepost-eu-refreshtokens --gen2 --region=europe-west1 --update-labels=gatepost-source="${SOURCE_HASH:?}" --runtime=go126 --entry-point=RefreshTokens '--set-build-env-vars=GOOGLE_GOLDFLAGS=-s -w' --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com --service-account=gatepost-eu-refreshtokens@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=80 --min-instances=0 --max-instances=2 --ingress-settings=internal-only --set-env-vars=ALEXA_REGIONS=EU,GOOGLE_CLOUD_PROJECT=maker-prod,REFRESH_SHARDS=64,REFRESH_TOPIC=gatepost-eu-refresh,SKILL=lights --source="${WORK:?}"/source --trigger-http --no-allow-unauthenticated --serve-all-traffic-latest-revision --project=maker-prod --quiet
gcloud functions deploy gatepost-eu-refreshshard --gen2 --region=europe-west1 --update-labels=gatepost-source="${SOURCE_HASH:?}" --runtime=go126 --entry-point=RefreshShard '--set-build-env-vars=GOOGLE_GOLDFLAGS=-s -w' --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com --service-account=gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=16 --min-instances=0 --max-instances=10 --ingress-settings=internal-only --set-env-vars=ALEXA_REGIONS=EU,FIRESTORE_DATABASE=gatepost-eu,GOOGLE_CLOUD_PROJECT=maker-prod,GRANT_EVENTS_TOPIC=grant-events,GRANT_STORE=firestore,LWA_CREDENTIALS=projects/maker-prod/secrets/gatepost-lwa-credentials,LWA_MAX_RATE=50,REFRESH_IDLE_AFTER=720h,REFRESH_PERIOD=2m,SKILL=lights,TOKEN_KEYSET=projects/maker-prod/secrets/gatepost-token-keyset-eu --source="${WORK:?}"/source --trigger-http --no-allow-unauthenticated --serve-all-traffic-latest-revision --project=maker-prod --quiet
gcloud functions deploy gatepost-eu-sendevent --gen2 --region=europe-west1 --update-labels=gatepost-source="${SOURCE_HASH:?}" --runtime=go126 --entry-point=SendEvent '--set-build-env-vars=GOOGLE_GOLDFLAGS=-s -w' --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com --service-account=gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com --memory=1Gi --cpu=2 --timeout=60s --concurrency=80 --min-instances=2 --max-instances=300 --ingress-settings=internal-only --set-env-vars=ALEXA_REGIONS=EU,DEAD_LETTER_TOPIC=dead-letters,EVENT_CHECKS=advise,FIRESTORE_DATABASE=gatepost-eu,GOOGLE_CLOUD_PROJECT=maker-prod,GRANT_EVENTS_TOPIC=grant-events,GRANT_STORE=firestore,LWA_CREDENTIALS=projects/maker-prod/secrets/gatepost-lwa-credentials,MAX_EVENT_AGE=10m,REFRESH_IDLE_AFTER=720h,SKILL=lights,TOKEN_KEYSET=projects/maker-prod/secrets/gatepost-token-keyset-eu --source="${WORK:?}"/source --trigger-http --no-allow-unauthenticated --serve-all-traffic-latest-revision --project=maker-prod --quiet
gcloud functions deploy gatepost-fe-acceptgrant --gen2 --region=us-west1 --update-labels=gatepost-source="${SOURCE_HASH:?}" --runtime=go126 --entry-point=AcceptGrant '--set-build-env-vars=GOOGLE_GOLDFLAGS=-s -w' --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com --service-account=gatepost-fe-acceptgrant@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=80 --min-instances=1 --max-instances=10 --ingress-settings=all '--set-env-vars=^;^ALEXA_REGIONS=FE;FIRESTORE_DATABASE=gatepost-fe;GOOGLE_CLOUD_PROJECT=maker-prod;GRANTEE_AUDIENCE=gatepost;GRANTEE_CLAIM=customer;GRANTEE_CREDENTIALS=projects/maker-prod/secrets/gatepost-grantee-credentials;GRANTEE_RESOLVER=introspection:https://id.maker.example/token?of=a,b;GRANT_EVENTS_TOPIC=grant-events;GRANT_STORE=firestore;LWA_CREDENTIALS=projects/maker-prod/secrets/gatepost-lwa-credentials;SKILL=lights;TOKEN_KEYSET=projects/maker-prod/secrets/gatepost-token-keyset-fe' --source="${WORK:?}"/source --trigger-http --no-allow-unauthenticated --serve-all-traffic-latest-revision --project=maker-prod --quiet
gcloud functions deploy gatepost-fe-skillevent --gen2 --region=us-west1 --update-labels=gatepost-source="${SOURCE_HASH:?}" --runtime=go126 --entry-point=SkillEvent '--set-build-env-vars=GOOGLE_GOLDFLAGS=-s -w' --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com --service-account=gatepost-fe-skillevent@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=80 --min-instances=0 --max-instances=10 --ingress-settings=all '--set-env-vars=^;^ALEXA_REGIONS=FE;FIRESTORE_DATABASE=gatepost-fe;GOOGLE_CLOUD_PROJECT=maker-prod;GRANTEE_AUDIENCE=gatepost;GRANTEE_CLAIM=customer;GRANTEE_CREDENTIALS=projects/maker-prod/secrets/gatepost-grantee-credentials;GRANTEE_RESOLVER=introspection:https://id.maker.example/token?of=a,b;GRANT_STORE=firestore;SKILL=lights' --source="${WORK:?}"/source --trigger-http --no-allow-unauthenticated --serve-all-traffic-latest-revision --project=maker-prod --quiet
gcloud functions deploy gatepost-fe-refreshtokens --gen2 --region=us-west1 --update-labels=gatepost-source="${SOURCE_HASH:?}" --runtime=go126 --entry-point=RefreshTokens '--set-build-env-vars=GOOGLE_GOLDFLAGS=-s -w' --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com --service-account=gatepost-fe-refreshtokens@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=80 --min-instances=0 --max-instances=2 --ingress-settings=internal-only --set-env-vars=ALEXA_REGIONS=FE,GOOGLE_CLOUD_PROJECT=maker-prod,REFRESH_SHARDS=64,REFRESH_TOPIC=gatepost-fe-refresh,SKILL=lights --source="${WORK:?}"/source --trigger-http --no-allow-unauthenticated --serve-all-traffic-latest-revision --project=maker-prod --quiet
gcloud functions deploy gatepost-fe-refreshshard --gen2 --region=us-west1 --update-labels=gatepost-source="${SOURCE_HASH:?}" --runtime=go126 --entry-point=RefreshShard '--set-build-env-vars=GOOGLE_GOLDFLAGS=-s -w' --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com --service-account=gatepost-fe-refreshshard@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=16 --min-instances=0 --max-instances=10 --ingress-settings=internal-only --set-env-vars=ALEXA_REGIONS=FE,FIRESTORE_DATABASE=gatepost-fe,GOOGLE_CLOUD_PROJECT=maker-prod,GRANT_EVENTS_TOPIC=grant-events,GRANT_STORE=firestore,LWA_CREDENTIALS=projects/maker-prod/secrets/gatepost-lwa-credentials,LWA_MAX_RATE=50,REFRESH_IDLE_AFTER=720h,REFRESH_PERIOD=2m,SKILL=lights,TOKEN_KEYSET=projects/maker-prod/secrets/gatepost-token-keyset-fe --source="${WORK:?}"/source --trigger-http --no-allow-unauthenticated --serve-all-traffic-latest-revision --project=maker-prod --quiet
gcloud functions deploy gatepost-fe-sendevent --gen2 --region=us-west1 --update-labels=gatepost-source="${SOURCE_HASH:?}" --runtime=go126 --entry-point=SendEvent '--set-build-env-vars=GOOGLE_GOLDFLAGS=-s -w' --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com --service-account=gatepost-fe-sendevent@maker-prod.iam.gserviceaccount.com --memory=1Gi --cpu=2 --timeout=60s --concurrency=80 --min-instances=2 --max-instances=300 --ingress-settings=internal-only --set-env-vars=ALEXA_REGIONS=FE,DEAD_LETTER_TOPIC=dead-letters,EVENT_CHECKS=advise,FIRESTORE_DATABASE=gatepost-fe,GOOGLE_CLOUD_PROJECT=maker-prod,GRANT_EVENTS_TOPIC=grant-events,GRANT_STORE=firestore,LWA_CREDENTIALS=projects/maker-prod/secrets/gatepost-lwa-credentials,MAX_EVENT_AGE=10m,REFRESH_IDLE_AFTER=720h,SKILL=lights,TOKEN_KEYSET=projects/maker-prod/secrets/gatepost-token-keyset-fe --source="${WORK:?}"/source --trigger-http --no-allow-unauthenticated --serve-all-traffic-latest-revision --project=maker-prod --quiet
EU_ACCEPTGRANT_URL=$(gcloud functions describe gatepost-eu-acceptgrant --gen2 --region=europe-west1 --project=maker-prod --format='value(serviceConfig.uri)')
EU_SKILLEVENT_URL=$(gcloud functions describe gatepost-eu-skillevent --gen2 --region=europe-west1 --project=maker-prod --format='value(serviceConfig.uri)')
EU_REFRESHTOKENS_URL=$(gcloud functions describe gatepost-eu-refreshtokens --gen2 --region=europe-west1 --project=maker-prod --format='value(serviceConfig.uri)')
EU_REFRESHSHARD_URL=$(gcloud functions describe gatepost-eu-refreshshard --gen2 --region=europe-west1 --project=maker-prod --format='value(serviceConfig.uri)')
EU_SENDEVENT_URL=$(gcloud functions describe gatepost-eu-sendevent --gen2 --region=europe-west1 --project=maker-prod --format='value(serviceConfig.uri)')
FE_ACCEPTGRANT_URL=$(gcloud functions describe gatepost-fe-acceptgrant --gen2 --region=us-west1 --project=maker-prod --format='value(serviceConfig.uri)')
FE_SKILLEVENT_URL=$(gcloud functions describe gatepost-fe-skillevent --gen2 --region=us-west1 --project=maker-prod --format='value(serviceConfig.uri)')
FE_REFRESHTOKENS_URL=$(gcloud functions describe gatepost-fe-refreshtokens --gen2 --region=us-west1 --project=maker-prod --format='value(serviceConfig.uri)')
FE_REFRESHSHARD_URL=$(gcloud functions describe gatepost-fe-refreshshard --gen2 --region=us-west1 --project=maker-prod --format='value(serviceConfig.uri)')
FE_SENDEVENT_URL=$(gcloud functions describe gatepost-fe-sendevent --gen2 --region=us-west1 --project=maker-prod --format='value(serviceConfig.uri)')

# Who may call the functions
gcloud run services add-iam-policy-binding gatepost-eu-acceptgrant --region=europe-west1 --role=roles/run.invoker --member=serviceAccount:gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud run services add-iam-policy-binding gatepost-eu-skillevent --region=europe-west1 --role=roles/run.invoker --member=serviceAccount:gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud run services add-iam-policy-binding gatepost-eu-refreshtokens --region=europe-west1 --role=roles/run.invoker --member=serviceAccount:gatepost-eu-scheduler@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud run services add-iam-policy-binding gatepost-eu-refreshshard --region=europe-west1 --role=roles/run.invoker --member=serviceAccount:gatepost-eu-push-refreshshard@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud run services add-iam-policy-binding gatepost-eu-sendevent --region=europe-west1 --role=roles/run.invoker --member=serviceAccount:gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud run services add-iam-policy-binding gatepost-fe-acceptgrant --region=us-west1 --role=roles/run.invoker --member=serviceAccount:gatepost-fe-proxy@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud run services add-iam-policy-binding gatepost-fe-skillevent --region=us-west1 --role=roles/run.invoker --member=serviceAccount:gatepost-fe-proxy@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud run services add-iam-policy-binding gatepost-fe-refreshtokens --region=us-west1 --role=roles/run.invoker --member=serviceAccount:gatepost-fe-scheduler@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud run services add-iam-policy-binding gatepost-fe-refreshshard --region=us-west1 --role=roles/run.invoker --member=serviceAccount:gatepost-fe-push-refreshshard@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud run services add-iam-policy-binding gatepost-fe-sendevent --region=us-west1 --role=roles/run.invoker --member=serviceAccount:gatepost-fe-push-sendevent@maker-prod.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet

# Subscriptions, scheduler jobs and workload identity
gcloud pubsub subscriptions create dead-letters --topic=dead-letters --ack-deadline=60 --message-retention-duration=604800s --expiration-period=never --min-retry-delay=10s --max-retry-delay=600s --project=maker-prod --quiet
gcloud pubsub subscriptions create refresh-dead-letters --topic=refresh-dead-letters --ack-deadline=60 --message-retention-duration=604800s --expiration-period=never --min-retry-delay=10s --max-retry-delay=600s --project=maker-prod --quiet
gcloud pubsub subscriptions create gatepost-eu-device-events --topic=device-events-eu '--message-filter=NOT attributes.region = "FE" AND NOT attributes.region = "NA"' --enable-message-ordering --ack-deadline=60 --message-retention-duration=604800s --expiration-period=never --min-retry-delay=5s --max-retry-delay=60s --push-endpoint="${EU_SENDEVENT_URL:?}" --push-auth-service-account=gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com --push-auth-token-audience="${EU_SENDEVENT_URL:?}" --dead-letter-topic=dead-letters --max-delivery-attempts=100 --project=maker-prod --quiet
gcloud pubsub subscriptions create gatepost-eu-refresh --topic=gatepost-eu-refresh --ack-deadline=60 --message-retention-duration=600s --expiration-period=never --min-retry-delay=5s --max-retry-delay=60s --push-endpoint="${EU_REFRESHSHARD_URL:?}" --push-auth-service-account=gatepost-eu-push-refreshshard@maker-prod.iam.gserviceaccount.com --push-auth-token-audience="${EU_REFRESHSHARD_URL:?}" --dead-letter-topic=refresh-dead-letters --max-delivery-attempts=10 --project=maker-prod --quiet
gcloud pubsub subscriptions create gatepost-fe-device-events --topic=device-events-fe '--message-filter=NOT attributes.region = "EU" AND NOT attributes.region = "NA"' --enable-message-ordering --ack-deadline=60 --message-retention-duration=604800s --expiration-period=never --min-retry-delay=5s --max-retry-delay=60s --push-endpoint="${FE_SENDEVENT_URL:?}" --push-auth-service-account=gatepost-fe-push-sendevent@maker-prod.iam.gserviceaccount.com --push-auth-token-audience="${FE_SENDEVENT_URL:?}" --dead-letter-topic=dead-letters --max-delivery-attempts=100 --project=maker-prod --quiet
gcloud pubsub subscriptions create gatepost-fe-refresh --topic=gatepost-fe-refresh --ack-deadline=60 --message-retention-duration=600s --expiration-period=never --min-retry-delay=5s --max-retry-delay=60s --push-endpoint="${FE_REFRESHSHARD_URL:?}" --push-auth-service-account=gatepost-fe-push-refreshshard@maker-prod.iam.gserviceaccount.com --push-auth-token-audience="${FE_REFRESHSHARD_URL:?}" --dead-letter-topic=refresh-dead-letters --max-delivery-attempts=10 --project=maker-prod --quiet
gcloud scheduler jobs create http gatepost-eu-refresh --location=europe-west1 '--description=Begins a sweep, which refreshes the access tokens that will soon expire.' '--schedule=*/2 * * * *' --time-zone=Etc/UTC --uri="${EU_REFRESHTOKENS_URL:?}" --http-method=POST --oidc-service-account-email=gatepost-eu-scheduler@maker-prod.iam.gserviceaccount.com --oidc-token-audience="${EU_REFRESHTOKENS_URL:?}" --attempt-deadline=60s --max-retry-attempts=3 --min-backoff=5s --max-backoff=30s --project=maker-prod --quiet
gcloud scheduler jobs create http gatepost-fe-refresh --location=us-west1 '--description=Begins a sweep, which refreshes the access tokens that will soon expire.' '--schedule=*/2 * * * *' --time-zone=Etc/UTC --uri="${FE_REFRESHTOKENS_URL:?}" --http-method=POST --oidc-service-account-email=gatepost-fe-scheduler@maker-prod.iam.gserviceaccount.com --oidc-token-audience="${FE_REFRESHTOKENS_URL:?}" --attempt-deadline=60s --max-retry-attempts=3 --min-backoff=5s --max-backoff=30s --project=maker-prod --quiet
gcloud iam workload-identity-pools create gatepost --location=global --display-name=Gatepost '--description=The AWS roles of the Lambdas that Alexa calls.' --project=maker-prod --quiet
gcloud iam workload-identity-pools providers create-aws aws-lambda --workload-identity-pool=gatepost --location=global '--display-name=AWS Lambda' --account-id=123456789012 '--attribute-mapping=google.subject=assertion.arn.extract('\''{account_arn}assumed-role/'\'') + '\''assumed-role/'\'' + assertion.arn.extract('\''assumed-role/{role_name}/'\'')' '--attribute-condition=google.subject in ['\''arn:aws:sts::123456789012:assumed-role/lights-proxy-fe'\'', '\''arn:aws:sts::123456789012:assumed-role/maker-skill-eu'\'']' --project=maker-prod --quiet

# Who may speak as the callers, and forward dead letters
gcloud iam service-accounts add-iam-policy-binding gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com --role=roles/iam.serviceAccountOpenIdTokenCreator --member=principal://iam.googleapis.com/projects/"${PROJECT_NUMBER:?}"/locations/global/workloadIdentityPools/gatepost/subject/arn:aws:sts::123456789012:assumed-role/maker-skill-eu --condition=None --project=maker-prod --quiet
gcloud iam service-accounts add-iam-policy-binding gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com --role=roles/iam.serviceAccountTokenCreator --member=serviceAccount:service-"${PROJECT_NUMBER:?}"@gcp-sa-pubsub.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud iam service-accounts add-iam-policy-binding gatepost-eu-push-refreshshard@maker-prod.iam.gserviceaccount.com --role=roles/iam.serviceAccountTokenCreator --member=serviceAccount:service-"${PROJECT_NUMBER:?}"@gcp-sa-pubsub.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud pubsub subscriptions add-iam-policy-binding gatepost-eu-device-events --role=roles/pubsub.subscriber --member=serviceAccount:service-"${PROJECT_NUMBER:?}"@gcp-sa-pubsub.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud pubsub subscriptions add-iam-policy-binding gatepost-eu-refresh --role=roles/pubsub.subscriber --member=serviceAccount:service-"${PROJECT_NUMBER:?}"@gcp-sa-pubsub.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud iam service-accounts add-iam-policy-binding gatepost-fe-proxy@maker-prod.iam.gserviceaccount.com --role=roles/iam.serviceAccountOpenIdTokenCreator --member=principal://iam.googleapis.com/projects/"${PROJECT_NUMBER:?}"/locations/global/workloadIdentityPools/gatepost/subject/arn:aws:sts::123456789012:assumed-role/lights-proxy-fe --condition=None --project=maker-prod --quiet
gcloud iam service-accounts add-iam-policy-binding gatepost-fe-push-sendevent@maker-prod.iam.gserviceaccount.com --role=roles/iam.serviceAccountTokenCreator --member=serviceAccount:service-"${PROJECT_NUMBER:?}"@gcp-sa-pubsub.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud iam service-accounts add-iam-policy-binding gatepost-fe-push-refreshshard@maker-prod.iam.gserviceaccount.com --role=roles/iam.serviceAccountTokenCreator --member=serviceAccount:service-"${PROJECT_NUMBER:?}"@gcp-sa-pubsub.iam.gserviceaccount.com --condition=None --project=maker-prod --quiet
gcloud pubsub subscriptions add-iam-policy-binding gatepost-fe-device-events --role=roles/pubsub.subscriber --member=serviceAccount:service-"${PROJECT_NUMBER:?}"@gcp-sa-pubsub.iam.gserviceaccount.com --project=maker-prod --quiet
gcloud pubsub subscriptions add-iam-policy-binding gatepost-fe-refresh --role=roles/pubsub.subscriber --member=serviceAccount:service-"${PROJECT_NUMBER:?}"@gcp-sa-pubsub.iam.gserviceaccount.com --project=maker-prod --quiet

# Skill proxies
# Its role has been there for some minutes. If Lambda does not know it yet, go on from here a minute later.
aws lambda create-function --zip-file=fileb://"${WORK:?}"/skillproxy.zip --architectures=arm64 --package-type=Zip '--description=Passes on what Alexa sends to the skill in FE.' --role=arn:aws:iam::123456789012:role/lights-proxy-fe --runtime=provided.al2023 --handler=bootstrap --memory-size=128 --timeout=8 '--environment={"Variables":{"ACCEPT_GRANT_URL":"'"${FE_ACCEPTGRANT_URL:?}"'","DIRECTIVE_AUDIENCE":"https://maker.example","DIRECTIVE_AUTH":"google","DIRECTIVE_URL":"https://maker.example/directives","GOOGLE_SERVICE_ACCOUNT":"gatepost-fe-proxy@maker-prod.iam.gserviceaccount.com","GOOGLE_WORKLOAD_PROVIDER":"//iam.googleapis.com/projects/'"${PROJECT_NUMBER:?}"'/locations/global/workloadIdentityPools/gatepost/providers/aws-lambda","SKILL_EVENT_URL":"'"${FE_SKILLEVENT_URL:?}"'"}}' '--logging-config={"LogFormat":"Text","LogGroup":"/aws/lambda/lights-proxy-fe"}' --function-name=lights-proxy-fe --region=us-west-2 --output=json
aws lambda wait function-active-v2 --function-name=lights-proxy-fe --region=us-west-2 --output=json
aws lambda add-permission --statement-id=alexa-directives --action=lambda:InvokeFunction --principal=alexa-connectedhome.amazon.com --event-source-token=amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab --function-name=lights-proxy-fe --region=us-west-2 --output=json
aws lambda add-permission --statement-id=alexa-skill-events --action=lambda:InvokeFunction --principal=alexa-appkit.amazon.com --event-source-token=amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab --function-name=lights-proxy-fe --region=us-west-2 --output=json

# Next
echo '# The environment of your own Lambda for EU:'
echo ACCEPT_GRANT_URL="${EU_ACCEPTGRANT_URL:?}"
echo GOOGLE_SERVICE_ACCOUNT=gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com
echo GOOGLE_WORKLOAD_PROVIDER=//iam.googleapis.com/projects/"${PROJECT_NUMBER:?}"/locations/global/workloadIdentityPools/gatepost/providers/aws-lambda
echo SKILL_EVENT_URL="${EU_SKILLEVENT_URL:?}"
echo '# The skill'\''s endpoint for FE, to enter in the developer console:'
echo arn:aws:lambda:us-west-2:123456789012:function:lights-proxy-fe
echo '# To let your cloud publish device events; its account in place of PUBLISHER:'
echo 'gcloud pubsub topics add-iam-policy-binding device-events-eu --project=maker-prod --role=roles/pubsub.publisher --member=serviceAccount:PUBLISHER'
echo 'gcloud pubsub topics add-iam-policy-binding device-events-fe --project=maker-prod --role=roles/pubsub.publisher --member=serviceAccount:PUBLISHER'
