// Package cloudfake implements the APIs of Google Cloud and of AWS in memory, as
// far as gcloud, the AWS CLI and Terraform need them to create and describe
// Gatepost's resources, and to see whether they exist. An unknown request fails the
// test.
//
//	google, amazon := cloudfake.NewGoogle(t), cloudfake.NewAmazon(t)
//	// CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=google.URL/ gcloud pubsub topics create …
//	// AWS_ENDPOINT_URL=amazon.URL aws iam create-role …
//	made := google.Resources()
//
// The fakes store what they are sent without checks: they do not prove that Google
// or AWS would accept a request.
package cloudfake
