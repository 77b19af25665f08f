#!/usr/bin/env bash
#
# Deploys Gatepost to maker-prod. scripts/deploy has made this. It can be run
# again at any time: it creates what is missing, sets the settings, and builds
# the functions whose source or settings have changed.

set -euo pipefail
export CLOUDSDK_CORE_PROJECT=maker-prod CLOUDSDK_CORE_DISABLE_PROMPTS=1 AWS_PAGER='' AWS_DEFAULT_OUTPUT=json

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run COMMAND...: shows a command and runs it.
run() {
  printf '+'
  printf ' %q' "$@"
  echo
  "$@" >/dev/null
}

# ensure DESCRIBE... -- CREATE...: creates what DESCRIBE does not find. If neither
# works, it shows what both said.
ensure() {
  local describe=() said
  while [[ $1 != -- ]]; do
    describe+=("$1")
    shift
  done
  said=$("${describe[@]}" 2>&1 >/dev/null) || run "${@:2}" || {
    printf '%s\n' "$said" >&2
    return 1
  }
}

# has TEXT COMMAND...: whether the output of a command has the text in it.
has() { [[ $("${@:2}") == *"$1"* ]]; }

# account NAME TITLE: creates a service account.
account() {
  ensure gcloud iam service-accounts describe "$1@$CLOUDSDK_CORE_PROJECT.iam.gserviceaccount.com" -- \
    gcloud iam service-accounts create "$1" --display-name="$2"
}

# secret NAME HOW FLAG...: creates a secret, and notes HOW to fill it if it has no
# enabled version.
empty=''
secret() {
  ensure gcloud secrets describe "$1" -- gcloud secrets create "$1" "${@:3}"
  has ENABLED gcloud secrets versions list "$1" --filter=state=ENABLED --limit=1 --format=json || empty+="$2"$'\n'
}

# deploy NAME LOCATION FLAG...: builds a function, unless it is active and its
# label says that it has this source and these flags.
deploy() {
  local label
  label=$(printf '%s\n' "$source_hash" "$@" | sha256sum | cut -c1-32)
  has "ACTIVE $label" gcloud functions describe "$1" --gen2 --region="$2" \
    --format='value[separator=" "](state, labels.gatepost-deploy)' 2>/dev/null ||
    run gcloud functions deploy "$1" --gen2 --region="$2" "${@:3}" --source="$work/source" --update-labels=gatepost-deploy="$label"
}

# deployed PROCESS...: waits for functions that are built side by side.
deployed() {
  local process failed=0
  for process; do
    wait "$process" || failed=1
  done
  return "$failed"
}

# url NAME LOCATION: writes where a function is, and fails if it is nowhere.
url() { gcloud functions describe "$1" --gen2 --region="$2" --format='value(serviceConfig.uri)' | grep .; }

# policy MEMBERS: writes a policy of AWS with one statement, which allows.
policy() { printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",%s}]}' "$1"; }

# permits STATEMENT SKILL FLAG...: whether a Lambda's policy has the statement, and
# is for the skill.
permits() {
  local policy
  policy=$(aws lambda get-policy "${@:3}")
  [[ $policy == *"$1"* && $policy == *"$2"* ]]
}

# variables NAME=VALUE...: writes the environment of a Lambda.
variables() {
  local pair json=''
  for pair; do
    pair=${pair//\\/\\\\}
    pair=${pair//\"/\\\"}
    json+=",\"${pair%%=*}\":\"${pair#*=}\""
  done
  printf '{"Variables":{%s}}' "${json#,}"
}

main() {
  cd /gatepost
  project_number=$(gcloud projects describe maker-prod --format='value(projectNumber)')
  pubsub_agent=serviceAccount:service-$project_number@gcp-sa-pubsub.iam.gserviceaccount.com
  pool=iam.googleapis.com/projects/$project_number/locations/global/workloadIdentityPools/gatepost
  if ! has 123456789012 aws sts get-caller-identity --query=Account --region=us-west-2; then
    echo 'the AWS credentials are not of the account 123456789012' >&2
    exit 1
  fi

  # APIs
  run gcloud services enable artifactregistry.googleapis.com cloudbuild.googleapis.com cloudfunctions.googleapis.com \
    cloudresourcemanager.googleapis.com cloudscheduler.googleapis.com firestore.googleapis.com iam.googleapis.com \
    iamcredentials.googleapis.com logging.googleapis.com monitoring.googleapis.com pubsub.googleapis.com run.googleapis.com \
    secretmanager.googleapis.com storage.googleapis.com sts.googleapis.com

  # Accounts and roles come first: by the run after the secrets they are known everywhere.
  account gatepost-build "Builds Gatepost's functions"
  account gatepost-eu-acceptgrant 'Gatepost EU: AcceptGrant'
  account gatepost-eu-skillevent 'Gatepost EU: SkillEvent'
  account gatepost-eu-refreshtokens 'Gatepost EU: RefreshTokens'
  account gatepost-eu-refreshshard 'Gatepost EU: RefreshShard'
  account gatepost-eu-sendevent 'Gatepost EU: SendEvent'
  account gatepost-eu-proxy 'Gatepost EU: calls AcceptGrant and SkillEvent from AWS'
  account gatepost-eu-scheduler 'Gatepost EU: calls RefreshTokens'
  account gatepost-eu-push-refreshshard 'Gatepost EU: pushes to RefreshShard'
  account gatepost-eu-push-sendevent 'Gatepost EU: pushes to SendEvent'
  account gatepost-fe-acceptgrant 'Gatepost FE: AcceptGrant'
  account gatepost-fe-skillevent 'Gatepost FE: SkillEvent'
  account gatepost-fe-refreshtokens 'Gatepost FE: RefreshTokens'
  account gatepost-fe-refreshshard 'Gatepost FE: RefreshShard'
  account gatepost-fe-sendevent 'Gatepost FE: SendEvent'
  account gatepost-fe-proxy 'Gatepost FE: calls AcceptGrant and SkillEvent from AWS'
  account gatepost-fe-scheduler 'Gatepost FE: calls RefreshTokens'
  account gatepost-fe-push-refreshshard 'Gatepost FE: pushes to RefreshShard'
  account gatepost-fe-push-sendevent 'Gatepost FE: pushes to SendEvent'
  ensure aws iam get-role --role-name=lights-proxy-fe --region=us-west-2 -- \
    aws iam create-role --role-name=lights-proxy-fe --region=us-west-2 \
    --description='Of the Lambda that passes on what Alexa sends to the skill in FE.' \
    --assume-role-policy-document="$(policy '"Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}')"
  group=(--log-group-name=/aws/lambda/lights-proxy-fe --region=us-west-2)
  ensure aws logs describe-log-streams "${group[@]}" --max-items=1 -- aws logs create-log-group "${group[@]}"
  run aws logs put-retention-policy "${group[@]}" --retention-in-days=60
  streams='arn:aws:logs:us-west-2:123456789012:log-group:/aws/lambda/lights-proxy-fe:*'
  run aws iam put-role-policy --role-name=lights-proxy-fe --policy-name=log --region=us-west-2 \
    --policy-document="$(policy '"Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"'"$streams"'"')"

  # Secrets, without a value. Nothing starts before each has one.
  secret gatepost-lwa-credentials 'gcloud secrets versions add gatepost-lwa-credentials --project=maker-prod --data-file=FILE' \
    --replication-policy=automatic
  secret gatepost-grantee-credentials 'gcloud secrets versions add gatepost-grantee-credentials --project=maker-prod --data-file=FILE' \
    --replication-policy=automatic
  secret gatepost-token-keyset-eu 'go run ./scripts/gatepost keyset create projects/maker-prod/secrets/gatepost-token-keyset-eu' \
    --replication-policy=user-managed --locations=europe-west1
  secret gatepost-token-keyset-fe 'go run ./scripts/gatepost keyset create projects/maker-prod/secrets/gatepost-token-keyset-fe' \
    --replication-policy=user-managed --locations=us-west1
  if [[ $empty ]]; then
    printf '\n# Fill the secrets, and run this again. FILE holds {"client_id":"…","client_secret":"…"}: delete it afterwards.\n%s' "$empty" >&2
    exit 3
  fi

  # Packages
  source=$work/source.zip
  run scripts/package "$source"
  proxy=$work/skillproxy.zip
  run scripts/build-proxy "$proxy"
  unzip -q "$source" -d "$work/source"
  source_hash=$(sha256sum <"$source")

  # Databases. Firestore indexes every field both ways unless told otherwise; "*" is any field that is not named.
  ensure gcloud firestore databases describe --database=gatepost-eu -- \
    gcloud firestore databases create --database=gatepost-eu --location=europe-west1 --type=firestore-native --edition=standard \
    --delete-protection --enable-pitr
  ensure has refreshDue gcloud firestore indexes composite list --database=gatepost-eu --format=json -- \
    gcloud firestore indexes composite create --database=gatepost-eu --collection-group=customers --query-scope=collection \
    --field-config=field-path=bucket,order=ascending --field-config=field-path=refreshDue,order=ascending
  for collection in customers deliveries accounts; do
    run gcloud firestore indexes fields update '*' --database=gatepost-eu --collection-group="$collection" --disable-indexes
  done
  run gcloud firestore indexes fields update customer --database=gatepost-eu --collection-group=accounts --index=order=ascending
  for collection in deliveries accounts; do
    run gcloud firestore indexes fields update expireAt --database=gatepost-eu --collection-group="$collection" --disable-indexes
    run gcloud firestore fields ttls update expireAt --database=gatepost-eu --collection-group="$collection" --enable-ttl
  done
  ensure gcloud firestore databases describe --database=gatepost-fe -- \
    gcloud firestore databases create --database=gatepost-fe --location=us-west1 --type=firestore-native --edition=standard \
    --delete-protection --enable-pitr
  ensure has refreshDue gcloud firestore indexes composite list --database=gatepost-fe --format=json -- \
    gcloud firestore indexes composite create --database=gatepost-fe --collection-group=customers --query-scope=collection \
    --field-config=field-path=bucket,order=ascending --field-config=field-path=refreshDue,order=ascending
  for collection in customers deliveries accounts; do
    run gcloud firestore indexes fields update '*' --database=gatepost-fe --collection-group="$collection" --disable-indexes
  done
  run gcloud firestore indexes fields update customer --database=gatepost-fe --collection-group=accounts --index=order=ascending
  for collection in deliveries accounts; do
    run gcloud firestore indexes fields update expireAt --database=gatepost-fe --collection-group="$collection" --disable-indexes
    run gcloud firestore fields ttls update expireAt --database=gatepost-fe --collection-group="$collection" --enable-ttl
  done

  # Topics. A subscription to grant-events that is made later can seek back.
  ensure gcloud pubsub topics describe grant-events -- gcloud pubsub topics create grant-events --message-retention-duration=604800s
  for topic in dead-letters refresh-dead-letters; do
    ensure gcloud pubsub topics describe "$topic" -- gcloud pubsub topics create "$topic"
    run gcloud pubsub topics add-iam-policy-binding "$topic" --role=roles/pubsub.publisher --member="$pubsub_agent"
  done
  ensure gcloud pubsub topics describe gatepost-eu-refresh -- gcloud pubsub topics create gatepost-eu-refresh
  ensure gcloud pubsub topics describe device-events-eu -- \
    gcloud pubsub topics create device-events-eu --message-storage-policy-allowed-regions=europe-west1
  ensure gcloud pubsub topics describe gatepost-fe-refresh -- gcloud pubsub topics create gatepost-fe-refresh
  ensure gcloud pubsub topics describe device-events-fe -- \
    gcloud pubsub topics create device-events-fe --message-storage-policy-allowed-regions=us-west1

  # What the build may do, and the functions: on the project only what has no policy of its own.
  for role in artifactregistry.writer logging.logWriter storage.objectViewer; do
    run gcloud projects add-iam-policy-binding maker-prod --role="roles/$role" \
      --member=serviceAccount:gatepost-build@maker-prod.iam.gserviceaccount.com --condition=None
  done
  run gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com \
    --condition=title=gatepost-eu,expression='resource.name == "projects/'maker-prod/databases/gatepost-eu'"'
  run gcloud secrets add-iam-policy-binding gatepost-grantee-credentials --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud secrets add-iam-policy-binding gatepost-lwa-credentials --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud secrets add-iam-policy-binding gatepost-token-keyset-eu --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud pubsub topics add-iam-policy-binding grant-events --role=roles/pubsub.publisher --member=serviceAccount:gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com
  run gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-eu-skillevent@maker-prod.iam.gserviceaccount.com \
    --condition=title=gatepost-eu,expression='resource.name == "projects/'maker-prod/databases/gatepost-eu'"'
  run gcloud secrets add-iam-policy-binding gatepost-grantee-credentials --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-eu-skillevent@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud pubsub topics add-iam-policy-binding gatepost-eu-refresh --role=roles/pubsub.publisher --member=serviceAccount:gatepost-eu-refreshtokens@maker-prod.iam.gserviceaccount.com
  run gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com \
    --condition=title=gatepost-eu,expression='resource.name == "projects/'maker-prod/databases/gatepost-eu'"'
  run gcloud secrets add-iam-policy-binding gatepost-lwa-credentials --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud secrets add-iam-policy-binding gatepost-token-keyset-eu --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud pubsub topics add-iam-policy-binding grant-events --role=roles/pubsub.publisher --member=serviceAccount:gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com
  run gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com \
    --condition=title=gatepost-eu,expression='resource.name == "projects/'maker-prod/databases/gatepost-eu'"'
  run gcloud secrets add-iam-policy-binding gatepost-lwa-credentials --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud secrets add-iam-policy-binding gatepost-token-keyset-eu --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud pubsub topics add-iam-policy-binding dead-letters --role=roles/pubsub.publisher --member=serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com
  run gcloud pubsub topics add-iam-policy-binding grant-events --role=roles/pubsub.publisher --member=serviceAccount:gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com
  run gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-fe-acceptgrant@maker-prod.iam.gserviceaccount.com \
    --condition=title=gatepost-fe,expression='resource.name == "projects/'maker-prod/databases/gatepost-fe'"'
  run gcloud secrets add-iam-policy-binding gatepost-grantee-credentials --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-fe-acceptgrant@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud secrets add-iam-policy-binding gatepost-lwa-credentials --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-fe-acceptgrant@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud secrets add-iam-policy-binding gatepost-token-keyset-fe --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-fe-acceptgrant@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud pubsub topics add-iam-policy-binding grant-events --role=roles/pubsub.publisher --member=serviceAccount:gatepost-fe-acceptgrant@maker-prod.iam.gserviceaccount.com
  run gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-fe-skillevent@maker-prod.iam.gserviceaccount.com \
    --condition=title=gatepost-fe,expression='resource.name == "projects/'maker-prod/databases/gatepost-fe'"'
  run gcloud secrets add-iam-policy-binding gatepost-grantee-credentials --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-fe-skillevent@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud pubsub topics add-iam-policy-binding gatepost-fe-refresh --role=roles/pubsub.publisher --member=serviceAccount:gatepost-fe-refreshtokens@maker-prod.iam.gserviceaccount.com
  run gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-fe-refreshshard@maker-prod.iam.gserviceaccount.com \
    --condition=title=gatepost-fe,expression='resource.name == "projects/'maker-prod/databases/gatepost-fe'"'
  run gcloud secrets add-iam-policy-binding gatepost-lwa-credentials --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-fe-refreshshard@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud secrets add-iam-policy-binding gatepost-token-keyset-fe --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-fe-refreshshard@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud pubsub topics add-iam-policy-binding grant-events --role=roles/pubsub.publisher --member=serviceAccount:gatepost-fe-refreshshard@maker-prod.iam.gserviceaccount.com
  run gcloud projects add-iam-policy-binding maker-prod --role=roles/datastore.user --member=serviceAccount:gatepost-fe-sendevent@maker-prod.iam.gserviceaccount.com \
    --condition=title=gatepost-fe,expression='resource.name == "projects/'maker-prod/databases/gatepost-fe'"'
  run gcloud secrets add-iam-policy-binding gatepost-lwa-credentials --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-fe-sendevent@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud secrets add-iam-policy-binding gatepost-token-keyset-fe --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:gatepost-fe-sendevent@maker-prod.iam.gserviceaccount.com --condition=None
  run gcloud pubsub topics add-iam-policy-binding dead-letters --role=roles/pubsub.publisher --member=serviceAccount:gatepost-fe-sendevent@maker-prod.iam.gserviceaccount.com
  run gcloud pubsub topics add-iam-policy-binding grant-events --role=roles/pubsub.publisher --member=serviceAccount:gatepost-fe-sendevent@maker-prod.iam.gserviceaccount.com

  # Functions, those of a stack side by side
  builds=()
  deploy gatepost-eu-acceptgrant europe-west1 --runtime=go126 --entry-point=AcceptGrant \
    --trigger-http --no-allow-unauthenticated --ingress-settings=all --serve-all-traffic-latest-revision \
    --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com \
    --set-build-env-vars='GOOGLE_GOLDFLAGS=-s -w' \
    --service-account=gatepost-eu-acceptgrant@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=80 \
    --min-instances=1 --max-instances=10 \
    --set-env-vars='^;^ALEXA_REGIONS=EU;FIRESTORE_DATABASE=gatepost-eu;GOOGLE_CLOUD_PROJECT=maker-prod;GRANTEE_AUDIENCE=gatepost;GRANTEE_CLAIM=customer;GRANTEE_CREDENTIALS=projects/maker-prod/secrets/gatepost-grantee-credentials;GRANTEE_RESOLVER=introspection:https://id.maker.example/token?of=a,b;GRANT_EVENTS_TOPIC=grant-events;GRANT_STORE=firestore;LWA_CREDENTIALS=projects/maker-prod/secrets/gatepost-lwa-credentials;SKILL=lights;TOKEN_KEYSET=projects/maker-prod/secrets/gatepost-token-keyset-eu' &
  builds+=("$!")
  deploy gatepost-eu-skillevent europe-west1 --runtime=go126 --entry-point=SkillEvent \
    --trigger-http --no-allow-unauthenticated --ingress-settings=all --serve-all-traffic-latest-revision \
    --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com \
    --set-build-env-vars='GOOGLE_GOLDFLAGS=-s -w' \
    --service-account=gatepost-eu-skillevent@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=80 \
    --min-instances=0 --max-instances=10 \
    --set-env-vars='^;^ALEXA_REGIONS=EU;FIRESTORE_DATABASE=gatepost-eu;GOOGLE_CLOUD_PROJECT=maker-prod;GRANTEE_AUDIENCE=gatepost;GRANTEE_CLAIM=customer;GRANTEE_CREDENTIALS=projects/maker-prod/secrets/gatepost-grantee-credentials;GRANTEE_RESOLVER=introspection:https://id.maker.example/token?of=a,b;GRANT_STORE=firestore;SKILL=lights' &
  builds+=("$!")
  deploy gatepost-eu-refreshtokens europe-west1 --runtime=go126 --entry-point=RefreshTokens \
    --trigger-http --no-allow-unauthenticated --ingress-settings=internal-only --serve-all-traffic-latest-revision \
    --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com \
    --set-build-env-vars='GOOGLE_GOLDFLAGS=-s -w' \
    --service-account=gatepost-eu-refreshtokens@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=80 \
    --min-instances=0 --max-instances=2 \
    --set-env-vars='^,^ALEXA_REGIONS=EU,GOOGLE_CLOUD_PROJECT=maker-prod,REFRESH_SHARDS=64,REFRESH_TOPIC=gatepost-eu-refresh,SKILL=lights' &
  builds+=("$!")
  deploy gatepost-eu-refreshshard europe-west1 --runtime=go126 --entry-point=RefreshShard \
    --trigger-http --no-allow-unauthenticated --ingress-settings=internal-only --serve-all-traffic-latest-revision \
    --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com \
    --set-build-env-vars='GOOGLE_GOLDFLAGS=-s -w' \
    --service-account=gatepost-eu-refreshshard@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=16 \
    --min-instances=0 --max-instances=10 \
    --set-env-vars='^,^ALEXA_REGIONS=EU,FIRESTORE_DATABASE=gatepost-eu,GOOGLE_CLOUD_PROJECT=maker-prod,GRANT_EVENTS_TOPIC=grant-events,GRANT_STORE=firestore,LWA_CREDENTIALS=projects/maker-prod/secrets/gatepost-lwa-credentials,LWA_MAX_RATE=50,REFRESH_IDLE_AFTER=720h,REFRESH_PERIOD=2m,SKILL=lights,TOKEN_KEYSET=projects/maker-prod/secrets/gatepost-token-keyset-eu' &
  builds+=("$!")
  deploy gatepost-eu-sendevent europe-west1 --runtime=go126 --entry-point=SendEvent \
    --trigger-http --no-allow-unauthenticated --ingress-settings=internal-only --serve-all-traffic-latest-revision \
    --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com \
    --set-build-env-vars='GOOGLE_GOLDFLAGS=-s -w' \
    --service-account=gatepost-eu-sendevent@maker-prod.iam.gserviceaccount.com --memory=1Gi --cpu=2 --timeout=60s --concurrency=80 \
    --min-instances=2 --max-instances=300 \
    --set-env-vars='^,^ALEXA_REGIONS=EU,DEAD_LETTER_TOPIC=dead-letters,EVENT_CHECKS=advise,FIRESTORE_DATABASE=gatepost-eu,GOOGLE_CLOUD_PROJECT=maker-prod,GRANT_EVENTS_TOPIC=grant-events,GRANT_STORE=firestore,LWA_CREDENTIALS=projects/maker-prod/secrets/gatepost-lwa-credentials,MAX_EVENT_AGE=10m,REFRESH_IDLE_AFTER=720h,SKILL=lights,TOKEN_KEYSET=projects/maker-prod/secrets/gatepost-token-keyset-eu' &
  builds+=("$!")
  deployed "${builds[@]}"
  EU_ACCEPTGRANT_URL=$(url gatepost-eu-acceptgrant europe-west1)
  run gcloud run services add-iam-policy-binding gatepost-eu-acceptgrant --region=europe-west1 --role=roles/run.invoker \
    --member=serviceAccount:gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com --condition=None
  EU_SKILLEVENT_URL=$(url gatepost-eu-skillevent europe-west1)
  run gcloud run services add-iam-policy-binding gatepost-eu-skillevent --region=europe-west1 --role=roles/run.invoker \
    --member=serviceAccount:gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com --condition=None
  EU_REFRESHTOKENS_URL=$(url gatepost-eu-refreshtokens europe-west1)
  run gcloud run services add-iam-policy-binding gatepost-eu-refreshtokens --region=europe-west1 --role=roles/run.invoker \
    --member=serviceAccount:gatepost-eu-scheduler@maker-prod.iam.gserviceaccount.com --condition=None
  EU_REFRESHSHARD_URL=$(url gatepost-eu-refreshshard europe-west1)
  run gcloud run services add-iam-policy-binding gatepost-eu-refreshshard --region=europe-west1 --role=roles/run.invoker \
    --member=serviceAccount:gatepost-eu-push-refreshshard@maker-prod.iam.gserviceaccount.com --condition=None
  EU_SENDEVENT_URL=$(url gatepost-eu-sendevent europe-west1)
  run gcloud run services add-iam-policy-binding gatepost-eu-sendevent --region=europe-west1 --role=roles/run.invoker \
    --member=serviceAccount:gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com --condition=None
  builds=()
  deploy gatepost-fe-acceptgrant us-west1 --runtime=go126 --entry-point=AcceptGrant \
    --trigger-http --no-allow-unauthenticated --ingress-settings=all --serve-all-traffic-latest-revision \
    --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com \
    --set-build-env-vars='GOOGLE_GOLDFLAGS=-s -w' \
    --service-account=gatepost-fe-acceptgrant@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=80 \
    --min-instances=1 --max-instances=10 \
    --set-env-vars='^;^ALEXA_REGIONS=FE;FIRESTORE_DATABASE=gatepost-fe;GOOGLE_CLOUD_PROJECT=maker-prod;GRANTEE_AUDIENCE=gatepost;GRANTEE_CLAIM=customer;GRANTEE_CREDENTIALS=projects/maker-prod/secrets/gatepost-grantee-credentials;GRANTEE_RESOLVER=introspection:https://id.maker.example/token?of=a,b;GRANT_EVENTS_TOPIC=grant-events;GRANT_STORE=firestore;LWA_CREDENTIALS=projects/maker-prod/secrets/gatepost-lwa-credentials;SKILL=lights;TOKEN_KEYSET=projects/maker-prod/secrets/gatepost-token-keyset-fe' &
  builds+=("$!")
  deploy gatepost-fe-skillevent us-west1 --runtime=go126 --entry-point=SkillEvent \
    --trigger-http --no-allow-unauthenticated --ingress-settings=all --serve-all-traffic-latest-revision \
    --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com \
    --set-build-env-vars='GOOGLE_GOLDFLAGS=-s -w' \
    --service-account=gatepost-fe-skillevent@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=80 \
    --min-instances=0 --max-instances=10 \
    --set-env-vars='^;^ALEXA_REGIONS=FE;FIRESTORE_DATABASE=gatepost-fe;GOOGLE_CLOUD_PROJECT=maker-prod;GRANTEE_AUDIENCE=gatepost;GRANTEE_CLAIM=customer;GRANTEE_CREDENTIALS=projects/maker-prod/secrets/gatepost-grantee-credentials;GRANTEE_RESOLVER=introspection:https://id.maker.example/token?of=a,b;GRANT_STORE=firestore;SKILL=lights' &
  builds+=("$!")
  deploy gatepost-fe-refreshtokens us-west1 --runtime=go126 --entry-point=RefreshTokens \
    --trigger-http --no-allow-unauthenticated --ingress-settings=internal-only --serve-all-traffic-latest-revision \
    --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com \
    --set-build-env-vars='GOOGLE_GOLDFLAGS=-s -w' \
    --service-account=gatepost-fe-refreshtokens@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=80 \
    --min-instances=0 --max-instances=2 \
    --set-env-vars='^,^ALEXA_REGIONS=FE,GOOGLE_CLOUD_PROJECT=maker-prod,REFRESH_SHARDS=64,REFRESH_TOPIC=gatepost-fe-refresh,SKILL=lights' &
  builds+=("$!")
  deploy gatepost-fe-refreshshard us-west1 --runtime=go126 --entry-point=RefreshShard \
    --trigger-http --no-allow-unauthenticated --ingress-settings=internal-only --serve-all-traffic-latest-revision \
    --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com \
    --set-build-env-vars='GOOGLE_GOLDFLAGS=-s -w' \
    --service-account=gatepost-fe-refreshshard@maker-prod.iam.gserviceaccount.com --memory=256Mi --cpu=1 --timeout=60s --concurrency=16 \
    --min-instances=0 --max-instances=10 \
    --set-env-vars='^,^ALEXA_REGIONS=FE,FIRESTORE_DATABASE=gatepost-fe,GOOGLE_CLOUD_PROJECT=maker-prod,GRANT_EVENTS_TOPIC=grant-events,GRANT_STORE=firestore,LWA_CREDENTIALS=projects/maker-prod/secrets/gatepost-lwa-credentials,LWA_MAX_RATE=50,REFRESH_IDLE_AFTER=720h,REFRESH_PERIOD=2m,SKILL=lights,TOKEN_KEYSET=projects/maker-prod/secrets/gatepost-token-keyset-fe' &
  builds+=("$!")
  deploy gatepost-fe-sendevent us-west1 --runtime=go126 --entry-point=SendEvent \
    --trigger-http --no-allow-unauthenticated --ingress-settings=internal-only --serve-all-traffic-latest-revision \
    --build-service-account=projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com \
    --set-build-env-vars='GOOGLE_GOLDFLAGS=-s -w' \
    --service-account=gatepost-fe-sendevent@maker-prod.iam.gserviceaccount.com --memory=1Gi --cpu=2 --timeout=60s --concurrency=80 \
    --min-instances=2 --max-instances=300 \
    --set-env-vars='^,^ALEXA_REGIONS=FE,DEAD_LETTER_TOPIC=dead-letters,EVENT_CHECKS=advise,FIRESTORE_DATABASE=gatepost-fe,GOOGLE_CLOUD_PROJECT=maker-prod,GRANT_EVENTS_TOPIC=grant-events,GRANT_STORE=firestore,LWA_CREDENTIALS=projects/maker-prod/secrets/gatepost-lwa-credentials,MAX_EVENT_AGE=10m,REFRESH_IDLE_AFTER=720h,SKILL=lights,TOKEN_KEYSET=projects/maker-prod/secrets/gatepost-token-keyset-fe' &
  builds+=("$!")
  deployed "${builds[@]}"
  FE_ACCEPTGRANT_URL=$(url gatepost-fe-acceptgrant us-west1)
  run gcloud run services add-iam-policy-binding gatepost-fe-acceptgrant --region=us-west1 --role=roles/run.invoker \
    --member=serviceAccount:gatepost-fe-proxy@maker-prod.iam.gserviceaccount.com --condition=None
  FE_SKILLEVENT_URL=$(url gatepost-fe-skillevent us-west1)
  run gcloud run services add-iam-policy-binding gatepost-fe-skillevent --region=us-west1 --role=roles/run.invoker \
    --member=serviceAccount:gatepost-fe-proxy@maker-prod.iam.gserviceaccount.com --condition=None
  FE_REFRESHTOKENS_URL=$(url gatepost-fe-refreshtokens us-west1)
  run gcloud run services add-iam-policy-binding gatepost-fe-refreshtokens --region=us-west1 --role=roles/run.invoker \
    --member=serviceAccount:gatepost-fe-scheduler@maker-prod.iam.gserviceaccount.com --condition=None
  FE_REFRESHSHARD_URL=$(url gatepost-fe-refreshshard us-west1)
  run gcloud run services add-iam-policy-binding gatepost-fe-refreshshard --region=us-west1 --role=roles/run.invoker \
    --member=serviceAccount:gatepost-fe-push-refreshshard@maker-prod.iam.gserviceaccount.com --condition=None
  FE_SENDEVENT_URL=$(url gatepost-fe-sendevent us-west1)
  run gcloud run services add-iam-policy-binding gatepost-fe-sendevent --region=us-west1 --role=roles/run.invoker \
    --member=serviceAccount:gatepost-fe-push-sendevent@maker-prod.iam.gserviceaccount.com --condition=None

  # Subscriptions. Those to dead letters have no dead letters themselves, so that reading loses none.
  for topic in dead-letters refresh-dead-letters; do
    ensure gcloud pubsub subscriptions describe "$topic" -- \
      gcloud pubsub subscriptions create "$topic" --topic="$topic" --expiration-period=never
    run gcloud pubsub subscriptions update "$topic" --ack-deadline=60 --message-retention-duration=604800s \
      --min-retry-delay=10s --max-retry-delay=600s
  done
  ensure gcloud pubsub subscriptions describe gatepost-eu-device-events -- \
    gcloud pubsub subscriptions create gatepost-eu-device-events --topic=device-events-eu --expiration-period=never \
    --message-filter='NOT attributes.region = "FE" AND NOT attributes.region = "NA"' --enable-message-ordering
  run gcloud pubsub subscriptions update gatepost-eu-device-events --ack-deadline=60 --message-retention-duration=604800s \
    --min-retry-delay=5s --max-retry-delay=60s --dead-letter-topic=dead-letters --max-delivery-attempts=100 \
    --push-endpoint="$EU_SENDEVENT_URL" --push-auth-token-audience="$EU_SENDEVENT_URL" \
    --push-auth-service-account=gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com
  ensure gcloud pubsub subscriptions describe gatepost-eu-refresh -- \
    gcloud pubsub subscriptions create gatepost-eu-refresh --topic=gatepost-eu-refresh --expiration-period=never
  run gcloud pubsub subscriptions update gatepost-eu-refresh --ack-deadline=60 --message-retention-duration=600s \
    --min-retry-delay=5s --max-retry-delay=60s --dead-letter-topic=refresh-dead-letters --max-delivery-attempts=10 \
    --push-endpoint="$EU_REFRESHSHARD_URL" --push-auth-token-audience="$EU_REFRESHSHARD_URL" \
    --push-auth-service-account=gatepost-eu-push-refreshshard@maker-prod.iam.gserviceaccount.com
  ensure gcloud pubsub subscriptions describe gatepost-fe-device-events -- \
    gcloud pubsub subscriptions create gatepost-fe-device-events --topic=device-events-fe --expiration-period=never \
    --message-filter='NOT attributes.region = "EU" AND NOT attributes.region = "NA"' --enable-message-ordering
  run gcloud pubsub subscriptions update gatepost-fe-device-events --ack-deadline=60 --message-retention-duration=604800s \
    --min-retry-delay=5s --max-retry-delay=60s --dead-letter-topic=dead-letters --max-delivery-attempts=100 \
    --push-endpoint="$FE_SENDEVENT_URL" --push-auth-token-audience="$FE_SENDEVENT_URL" \
    --push-auth-service-account=gatepost-fe-push-sendevent@maker-prod.iam.gserviceaccount.com
  ensure gcloud pubsub subscriptions describe gatepost-fe-refresh -- \
    gcloud pubsub subscriptions create gatepost-fe-refresh --topic=gatepost-fe-refresh --expiration-period=never
  run gcloud pubsub subscriptions update gatepost-fe-refresh --ack-deadline=60 --message-retention-duration=600s \
    --min-retry-delay=5s --max-retry-delay=60s --dead-letter-topic=refresh-dead-letters --max-delivery-attempts=10 \
    --push-endpoint="$FE_REFRESHSHARD_URL" --push-auth-token-audience="$FE_REFRESHSHARD_URL" \
    --push-auth-service-account=gatepost-fe-push-refreshshard@maker-prod.iam.gserviceaccount.com

  # Scheduler jobs, which begin the sweeps
  job=(gatepost-eu-refresh --location=europe-west1 --schedule='*/2 * * * *' --time-zone=Etc/UTC
    --description='Begins a sweep, which refreshes the access tokens that will soon expire.'
    --uri="$EU_REFRESHTOKENS_URL" --http-method=POST
    --attempt-deadline=60s --max-retry-attempts=3 --min-backoff=5s --max-backoff=30s
    --oidc-service-account-email=gatepost-eu-scheduler@maker-prod.iam.gserviceaccount.com --oidc-token-audience="$EU_REFRESHTOKENS_URL")
  ensure gcloud scheduler jobs describe gatepost-eu-refresh --location=europe-west1 -- gcloud scheduler jobs create http "${job[@]}"
  run gcloud scheduler jobs update http "${job[@]}"
  job=(gatepost-fe-refresh --location=us-west1 --schedule='*/2 * * * *' --time-zone=Etc/UTC
    --description='Begins a sweep, which refreshes the access tokens that will soon expire.'
    --uri="$FE_REFRESHTOKENS_URL" --http-method=POST
    --attempt-deadline=60s --max-retry-attempts=3 --min-backoff=5s --max-backoff=30s
    --oidc-service-account-email=gatepost-fe-scheduler@maker-prod.iam.gserviceaccount.com --oidc-token-audience="$FE_REFRESHTOKENS_URL")
  ensure gcloud scheduler jobs describe gatepost-fe-refresh --location=us-west1 -- gcloud scheduler jobs create http "${job[@]}"
  run gcloud scheduler jobs update http "${job[@]}"

  # Workload identity, by which the Lambdas are known to Google without a key. The mapping takes the session off a role's ARN.
  ensure gcloud iam workload-identity-pools describe gatepost --location=global -- \
    gcloud iam workload-identity-pools create gatepost --location=global --display-name=Gatepost \
    --description='The AWS roles of the Lambdas that Alexa calls.'
  subject="assertion.arn.extract('{account_arn}assumed-role/') + 'assumed-role/' + assertion.arn.extract('assumed-role/{role_name}/')"
  provider=(aws-lambda --workload-identity-pool=gatepost --location=global --display-name='AWS Lambda'
    --account-id=123456789012 --attribute-mapping="google.subject=$subject" --attribute-condition='google.subject in ['\''arn:aws:sts::123456789012:assumed-role/lights-proxy-fe'\'', '\''arn:aws:sts::123456789012:assumed-role/maker-skill-eu'\'']')
  ensure gcloud iam workload-identity-pools providers describe aws-lambda --workload-identity-pool=gatepost --location=global -- \
    gcloud iam workload-identity-pools providers create-aws "${provider[@]}"
  run gcloud iam workload-identity-pools providers update-aws "${provider[@]}"

  # Who may speak as the callers, and what Pub/Sub needs to forward dead letters
  run gcloud iam service-accounts add-iam-policy-binding gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com --role=roles/iam.serviceAccountOpenIdTokenCreator \
    --member="principal://$pool/subject/"arn:aws:sts::123456789012:assumed-role/maker-skill-eu --condition=None
  for account in gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com gatepost-eu-push-refreshshard@maker-prod.iam.gserviceaccount.com; do
    run gcloud iam service-accounts add-iam-policy-binding "$account" --role=roles/iam.serviceAccountTokenCreator \
      --member="$pubsub_agent" --condition=None
  done
  for subscription in gatepost-eu-device-events gatepost-eu-refresh; do
    run gcloud pubsub subscriptions add-iam-policy-binding "$subscription" --role=roles/pubsub.subscriber --member="$pubsub_agent"
  done
  run gcloud iam service-accounts add-iam-policy-binding gatepost-fe-proxy@maker-prod.iam.gserviceaccount.com --role=roles/iam.serviceAccountOpenIdTokenCreator \
    --member="principal://$pool/subject/"arn:aws:sts::123456789012:assumed-role/lights-proxy-fe --condition=None
  for account in gatepost-fe-push-sendevent@maker-prod.iam.gserviceaccount.com gatepost-fe-push-refreshshard@maker-prod.iam.gserviceaccount.com; do
    run gcloud iam service-accounts add-iam-policy-binding "$account" --role=roles/iam.serviceAccountTokenCreator \
      --member="$pubsub_agent" --condition=None
  done
  for subscription in gatepost-fe-device-events gatepost-fe-refresh; do
    run gcloud pubsub subscriptions add-iam-policy-binding "$subscription" --role=roles/pubsub.subscriber --member="$pubsub_agent"
  done

  # Skill proxies. Lambda refuses a change during another, so each is waited for.
  lambda=(--function-name=lights-proxy-fe --region=us-west-2)
  settings=(--description='Passes on what Alexa sends to the skill in FE.' --role=arn:aws:iam::123456789012:role/lights-proxy-fe
    --runtime=provided.al2023 --handler=bootstrap --memory-size=128 --timeout=8
    --logging-config='{"LogFormat":"Text","LogGroup":"/aws/lambda/'lights-proxy-fe'"}'
    --environment="$(variables ACCEPT_GRANT_URL="$FE_ACCEPTGRANT_URL" SKILL_EVENT_URL="$FE_SKILLEVENT_URL" \
      GOOGLE_WORKLOAD_PROVIDER="//$pool/providers/aws-lambda" GOOGLE_SERVICE_ACCOUNT=gatepost-fe-proxy@maker-prod.iam.gserviceaccount.com \
      DIRECTIVE_URL=https://maker.example/directives DIRECTIVE_AUTH=google DIRECTIVE_AUDIENCE=https://maker.example)")
  ensure aws lambda get-function-configuration "${lambda[@]}" -- \
    aws lambda create-function "${lambda[@]}" "${settings[@]}" --zip-file=fileb://"$proxy" --architectures=arm64 --package-type=Zip
  run aws lambda wait function-active-v2 "${lambda[@]}"
  run aws lambda update-function-configuration "${lambda[@]}" "${settings[@]}"
  run aws lambda wait function-updated-v2 "${lambda[@]}"
  run aws lambda update-function-code "${lambda[@]}" --zip-file=fileb://"$proxy" --architectures=arm64
  run aws lambda wait function-updated-v2 "${lambda[@]}"
  for invoker in alexa-directives:alexa-connectedhome alexa-skill-events:alexa-appkit; do
    ensure permits "${invoker%:*}" amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab "${lambda[@]}" -- \
      aws lambda add-permission "${lambda[@]}" --statement-id="${invoker%:*}" --action=lambda:InvokeFunction \
      --principal="${invoker#*:}.amazon.com" --event-source-token=amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab
  done

  # Next
  printf '\n# The environment of your own Lambda for %s:\n' EU
  printf '%s\n' ACCEPT_GRANT_URL="$EU_ACCEPTGRANT_URL" SKILL_EVENT_URL="$EU_SKILLEVENT_URL" \
      GOOGLE_WORKLOAD_PROVIDER="//$pool/providers/aws-lambda" GOOGLE_SERVICE_ACCOUNT=gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com
  printf '\n# The endpoint of the skill for %s, to enter in the developer console:\n%s\n' FE \
    arn:aws:lambda:us-west-2:123456789012:function:lights-proxy-fe
  printf '\n# To let your cloud publish device events; its account in place of PUBLISHER:\n'
  echo gcloud pubsub topics add-iam-policy-binding device-events-eu --project=maker-prod --role=roles/pubsub.publisher \
    --member=serviceAccount:PUBLISHER
  echo gcloud pubsub topics add-iam-policy-binding device-events-fe --project=maker-prod --role=roles/pubsub.publisher \
    --member=serviceAccount:PUBLISHER
}

main </dev/null # bash has read all of it before any of it runs
