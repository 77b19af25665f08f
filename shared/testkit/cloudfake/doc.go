// Package cloudfake has the APIs of Google Cloud and of AWS in memory, as far as
// gcloud, the AWS CLI and Terraform need them to create Gatepost's resources,
// describe them, and find out that they are missing or there already. A request
// that they do not know fails the test.
//
//	google, amazon := cloudfake.NewGoogle(t), cloudfake.NewAmazon(t)
//	// CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=google.URL/ gcloud pubsub topics create …
//	// AWS_ENDPOINT_URL=amazon.URL aws iam create-role …
//	made := google.Resources()
//
// They store what they are sent and check none of it: that a request is what
// Google or AWS would accept is not proved by them.
package cloudfake
