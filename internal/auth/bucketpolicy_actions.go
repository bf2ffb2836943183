package auth

import (
	"slices"
	"strings"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// policyActions are the actions that a bucket's policy may name, as S3's
// permissions call them; true: of objects.
var policyActions = func() map[string]bool {
	table := map[string]bool{}
	for ofObjects, names := range map[bool]string{
		true: `AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectTagging DeleteObjectVersion
			DeleteObjectVersionTagging GetObject GetObjectAcl GetObjectAttributes GetObjectLegalHold GetObjectRetention
			GetObjectTagging GetObjectTorrent GetObjectVersion GetObjectVersionAcl GetObjectVersionAttributes
			GetObjectVersionTagging ListMultipartUploadParts PutObject PutObjectAcl PutObjectLegalHold
			PutObjectRetention PutObjectTagging PutObjectVersionAcl PutObjectVersionTagging RestoreObject`,
		false: `CreateBucket DeleteBucket DeleteBucketPolicy DeleteBucketWebsite GetAccelerateConfiguration GetAnalyticsConfiguration
			GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging GetBucketNotification
			GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus
			GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite
			GetEncryptionConfiguration GetIntelligentTieringConfiguration GetInventoryConfiguration
			GetLifecycleConfiguration GetMetricsConfiguration GetReplicationConfiguration ListBucket
			ListBucketMultipartUploads ListBucketVersions PutAccelerateConfiguration PutAnalyticsConfiguration
			PutBucketAcl PutBucketCORS PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration
			PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment
			PutBucketTagging PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration
			PutIntelligentTieringConfiguration PutInventoryConfiguration PutLifecycleConfiguration
			PutMetricsConfiguration PutReplicationConfiguration`,
	} {
		for name := range strings.FieldsSeq(names) {
			table["s3:"+name] = ofObjects
		}
	}
	return table
}()

// everyAction is the pattern that is never out of place.
const everyAction = "s3:*"

// knownAction tells whether a pattern means some action.
func knownAction(pattern string) bool {
	if !strings.HasPrefix(pattern, "s3:") {
		return false
	}
	for action := range policyActions {
		if matches(pattern, action) {
			return true
		}
	}
	return false
}

// ofObjects tells whether some action of the pattern is one of objects.
func ofObjects(pattern string) bool {
	for action, objects := range policyActions {
		if objects && matches(pattern, action) {
			return true
		}
	}
	return false
}

// otherActions are the operations that S3 has no permission of the same name for.
var otherActions = map[s3.OperationName]string{
	s3.HeadBucket: "ListBucket", s3.ListObjects: "ListBucket", s3.ListObjectsV2: "ListBucket",
	s3.ListObjectVersions: "ListBucketVersions", s3.ListMultipartUploads: "ListBucketMultipartUploads",

	s3.HeadObject: "GetObject", s3.SelectObjectContent: "GetObject",
	s3.CreateMultipartUpload: "PutObject", s3.UploadPart: "PutObject", s3.CompleteMultipartUpload: "PutObject",
	s3.CopyObject: "PutObject", s3.UploadPartCopy: "PutObject", s3.PostObject: "PutObject", s3.RenameObject: "PutObject",
	s3.ListParts: "ListMultipartUploadParts", s3.DeleteObjects: "DeleteObject",

	s3.GetBucketCors: "GetBucketCORS", s3.PutBucketCors: "PutBucketCORS", s3.DeleteBucketCors: "PutBucketCORS",
	s3.DeleteBucketTagging: "PutBucketTagging", s3.DeleteBucketOwnershipControls: "PutBucketOwnershipControls",
	s3.GetPublicAccessBlock: "GetBucketPublicAccessBlock", s3.PutPublicAccessBlock: "PutBucketPublicAccessBlock",
	s3.DeletePublicAccessBlock: "PutBucketPublicAccessBlock",

	s3.GetBucketAccelerateConfiguration: "GetAccelerateConfiguration", s3.PutBucketAccelerateConfiguration: "PutAccelerateConfiguration",
	s3.GetBucketAnalyticsConfiguration: "GetAnalyticsConfiguration", s3.PutBucketAnalyticsConfiguration: "PutAnalyticsConfiguration",
	s3.DeleteBucketAnalyticsConfiguration: "PutAnalyticsConfiguration", s3.ListBucketAnalyticsConfigurations: "GetAnalyticsConfiguration",
	s3.GetBucketEncryption: "GetEncryptionConfiguration", s3.PutBucketEncryption: "PutEncryptionConfiguration",
	s3.DeleteBucketEncryption:                      "PutEncryptionConfiguration",
	s3.GetBucketIntelligentTieringConfiguration:    "GetIntelligentTieringConfiguration",
	s3.PutBucketIntelligentTieringConfiguration:    "PutIntelligentTieringConfiguration",
	s3.DeleteBucketIntelligentTieringConfiguration: "PutIntelligentTieringConfiguration",
	s3.ListBucketIntelligentTieringConfigurations:  "GetIntelligentTieringConfiguration",
	s3.GetBucketInventoryConfiguration:             "GetInventoryConfiguration", s3.PutBucketInventoryConfiguration: "PutInventoryConfiguration",
	s3.DeleteBucketInventoryConfiguration: "PutInventoryConfiguration", s3.ListBucketInventoryConfigurations: "GetInventoryConfiguration",
	s3.GetBucketLifecycleConfiguration: "GetLifecycleConfiguration", s3.PutBucketLifecycleConfiguration: "PutLifecycleConfiguration",
	s3.DeleteBucketLifecycle:         "PutLifecycleConfiguration",
	s3.GetBucketMetricsConfiguration: "GetMetricsConfiguration", s3.PutBucketMetricsConfiguration: "PutMetricsConfiguration",
	s3.DeleteBucketMetricsConfiguration: "PutMetricsConfiguration", s3.ListBucketMetricsConfigurations: "GetMetricsConfiguration",
	s3.GetBucketNotificationConfiguration: "GetBucketNotification", s3.PutBucketNotificationConfiguration: "PutBucketNotification",
	s3.GetBucketReplication: "GetReplicationConfiguration", s3.PutBucketReplication: "PutReplicationConfiguration",
	s3.DeleteBucketReplication:    "PutReplicationConfiguration",
	s3.GetObjectLockConfiguration: "GetBucketObjectLockConfiguration", s3.PutObjectLockConfiguration: "PutBucketObjectLockConfiguration",
}

// actionOf is the permission that an operation asks for first.
func actionOf(name s3.OperationName) string {
	if other, ok := otherActions[name]; ok {
		return "s3:" + other
	}
	return "s3:" + string(name)
}

// versionActions are those that S3 has a second permission of for when a version is named.
// Here every object has one version, and naming it is no way around the first.
var versionActions = []string{
	"s3:GetObject", "s3:DeleteObject", "s3:GetObjectAcl", "s3:PutObjectAcl", "s3:GetObjectAttributes",
	"s3:GetObjectTagging", "s3:PutObjectTagging", "s3:DeleteObjectTagging",
}

// actions are what the access needs, all of it allowed, and what else must not be denied.
func (a *Access) actions() (must, also []string) {
	first := actionOf(a.Operation)
	must = []string{first}
	switch {
	case a.Operation == s3.GetObjectAttributes:
		must = append(must, "s3:GetObject")
	case first == "s3:PutObject" && a.fact("x-amz-tagging") != "":
		must = append(must, "s3:PutObjectTagging")
	}
	if first == "s3:PutObject" && a.fact("x-amz-acl") != "" {
		must = append(must, "s3:PutObjectAcl")
	}
	if a.fact("versionid") != "" && slices.Contains(versionActions, first) {
		verb, noun, _ := strings.Cut(first, "Object")
		also = append(also, verb+"ObjectVersion"+noun)
	}
	return must, also
}
