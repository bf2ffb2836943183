package auth

import "github.com/s3mirror/s3mirror/internal/s3"

// where is what an operation works on, and so which of the user's places it
// must lie in.
type where uint8

const (
	atService  where = iota // the list of buckets, of which he is shown his own
	nearBucket              // that the bucket is there: any place in it will do
	atBucket                // the bucket as a whole
	atList                  // the keys that begin with the list's prefix
	atObject                // one key
)

// anyScope: one of them is needed, whichever.
const anyScope Scope = ""

// need is what an operation asks of a user.
type need struct {
	scope  Scope
	where  where
	admin  bool // the role too: it changes what the bucket is for everyone
	source bool // it reads Access.Source
	many   bool // its keys come in the body: it is asked about without one first
	moves  bool // it removes Access.Source: that is written, not read
	named  bool // whoever does it must have a name: no policy opens it to the anonymous, as on AWS
}

// needs is the permission table. Every write of an object is held to the
// extensions too, also one that makes no new name: whoever may not write a name
// may not change what stands there.
//
// An operation that the gateway does not do is here so that whoever may not do
// it learns no more than that. Preflight comes without a signature and never
// gets here; Unsupported is root's to be told about, and CreateSession would hand
// out keys that know no limits.
var needs = func() map[s3.OperationName]need {
	table := map[s3.OperationName]need{
		s3.ListBuckets:          {scope: ScopeRead, where: atService},
		s3.ListDirectoryBuckets: {scope: ScopeRead, where: atService},

		s3.CopyObject:     {scope: ScopeWrite, where: atObject, source: true},
		s3.UploadPartCopy: {scope: ScopeWrite, where: atObject, source: true},
		s3.RenameObject:   {scope: ScopeWrite, where: atObject, source: true, moves: true},
	}
	for n, names := range map[need][]s3.OperationName{
		{scope: anyScope, where: nearBucket}: {s3.HeadBucket, s3.GetBucketLocation},

		{scope: ScopeRead, where: atList}: {s3.ListObjects, s3.ListObjectsV2, s3.ListObjectVersions, s3.ListMultipartUploads},

		{scope: ScopeRead, where: atObject}: {
			s3.GetObject, s3.HeadObject, s3.GetObjectAcl, s3.GetObjectAttributes, s3.GetObjectLegalHold,
			s3.GetObjectRetention, s3.GetObjectTagging, s3.GetObjectTorrent, s3.SelectObjectContent,
		},
		{scope: ScopeWrite, where: atObject}: {
			s3.PutObject, s3.DeleteObject,
			s3.CreateMultipartUpload, s3.UploadPart, s3.ListParts, s3.CompleteMultipartUpload, s3.AbortMultipartUpload,
			s3.PutObjectAcl, s3.PutObjectLegalHold, s3.PutObjectRetention, s3.PutObjectTagging, s3.DeleteObjectTagging,
			s3.RestoreObject, s3.UpdateObjectEncryption,
		},

		{scope: ScopeWrite, where: atObject, many: true}: {s3.DeleteObjects, s3.PostObject},

		{scope: ScopeWrite, where: atBucket}: {s3.CreateBucket, s3.DeleteBucket},

		{scope: ScopeRead, where: atBucket}: {
			s3.GetBucketAbac, s3.GetBucketAccelerateConfiguration, s3.GetBucketAcl, s3.GetBucketAnalyticsConfiguration,
			s3.GetBucketCors, s3.GetBucketEncryption, s3.GetBucketIntelligentTieringConfiguration,
			s3.GetBucketInventoryConfiguration, s3.GetBucketLifecycleConfiguration, s3.GetBucketLogging,
			s3.GetBucketMetadataConfiguration, s3.GetBucketMetadataTableConfiguration, s3.GetBucketMetricsConfiguration,
			s3.GetBucketNotificationConfiguration, s3.GetBucketOwnershipControls, s3.GetBucketPolicy,
			s3.GetBucketPolicyStatus, s3.GetBucketReplication, s3.GetBucketRequestPayment, s3.GetBucketTagging,
			s3.GetBucketVersioning, s3.GetBucketWebsite, s3.GetObjectLockConfiguration, s3.GetPublicAccessBlock,
			s3.ListBucketAnalyticsConfigurations, s3.ListBucketIntelligentTieringConfigurations,
			s3.ListBucketInventoryConfigurations, s3.ListBucketMetricsConfigurations,
		},
		{scope: ScopeWrite, where: atBucket, admin: true}: {
			s3.CreateBucketMetadataConfiguration, s3.CreateBucketMetadataTableConfiguration,
			s3.DeleteBucketAnalyticsConfiguration, s3.DeleteBucketCors, s3.DeleteBucketEncryption,
			s3.DeleteBucketIntelligentTieringConfiguration, s3.DeleteBucketInventoryConfiguration, s3.DeleteBucketLifecycle,
			s3.DeleteBucketMetadataConfiguration, s3.DeleteBucketMetadataTableConfiguration,
			s3.DeleteBucketMetricsConfiguration, s3.DeleteBucketOwnershipControls, s3.DeleteBucketPolicy,
			s3.DeleteBucketReplication, s3.DeleteBucketTagging, s3.DeleteBucketWebsite, s3.DeletePublicAccessBlock,
			s3.PutBucketAbac, s3.PutBucketAccelerateConfiguration, s3.PutBucketAcl, s3.PutBucketAnalyticsConfiguration,
			s3.PutBucketCors, s3.PutBucketEncryption, s3.PutBucketIntelligentTieringConfiguration,
			s3.PutBucketInventoryConfiguration, s3.PutBucketLifecycleConfiguration, s3.PutBucketLogging,
			s3.PutBucketMetricsConfiguration, s3.PutBucketNotificationConfiguration, s3.PutBucketOwnershipControls,
			s3.PutBucketPolicy, s3.PutBucketReplication, s3.PutBucketRequestPayment, s3.PutBucketTagging,
			s3.PutBucketVersioning, s3.PutBucketWebsite, s3.PutObjectLockConfiguration, s3.PutPublicAccessBlock,
			s3.UpdateBucketMetadataInventoryTableConfiguration, s3.UpdateBucketMetadataJournalTableConfiguration,
		},
	} {
		for _, name := range names {
			table[name] = n
		}
	}
	for _, name := range []s3.OperationName{
		s3.CreateBucket, s3.CreateMultipartUpload, s3.CopyObject, s3.UploadPartCopy, s3.RenameObject, s3.SelectObjectContent,
		s3.PutObjectAcl, s3.GetBucketOwnershipControls, s3.GetBucketPolicy, s3.GetBucketPolicyStatus,
	} {
		n := table[name]
		n.named = true
		table[name] = n
	}
	return table
}()
