package s3

import (
	"maps"
	"net/http"
	"slices"
)

// kind is what an address names.
type kind string

// The words of MethodNotAllowed's ResourceType.
const (
	kindService kind = "SERVICE"
	kindBucket  kind = "BUCKET"
	kindObject  kind = "OBJECT"
	kindUpload  kind = "UPLOAD"
)

// verbs are the operations of one sub-resource.
type verbs struct{ get, head, put, post, del OperationName }

func (v verbs) of(method string) OperationName {
	switch method {
	case http.MethodGet:
		return v.get
	case http.MethodHead:
		return v.head
	case http.MethodPut:
		return v.put
	case http.MethodPost:
		return v.post
	case http.MethodDelete:
		return v.del
	}
	return ""
}

// routes is the S3 API: what is addressed, the sub-resource, the verb. Those
// that the gateway does are in implemented; the rest is here so that it is
// answered with NotImplemented under its own name.
var routes = map[kind]map[string]verbs{
	kindService: {
		"": {get: ListBuckets},
	},
	kindBucket: {
		"":                       {get: ListObjects, head: HeadBucket, put: CreateBucket, post: PostObject, del: DeleteBucket},
		"abac":                   {get: GetBucketAbac, put: PutBucketAbac},
		"accelerate":             {get: GetBucketAccelerateConfiguration, put: PutBucketAccelerateConfiguration},
		"acl":                    {get: GetBucketAcl, put: PutBucketAcl},
		"analytics":              {get: GetBucketAnalyticsConfiguration, put: PutBucketAnalyticsConfiguration, del: DeleteBucketAnalyticsConfiguration},
		"cors":                   {get: GetBucketCors, put: PutBucketCors, del: DeleteBucketCors},
		"delete":                 {post: DeleteObjects},
		"encryption":             {get: GetBucketEncryption, put: PutBucketEncryption, del: DeleteBucketEncryption},
		"intelligent-tiering":    {get: GetBucketIntelligentTieringConfiguration, put: PutBucketIntelligentTieringConfiguration, del: DeleteBucketIntelligentTieringConfiguration},
		"inventory":              {get: GetBucketInventoryConfiguration, put: PutBucketInventoryConfiguration, del: DeleteBucketInventoryConfiguration},
		"lifecycle":              {get: GetBucketLifecycleConfiguration, put: PutBucketLifecycleConfiguration, del: DeleteBucketLifecycle},
		"location":               {get: GetBucketLocation},
		"logging":                {get: GetBucketLogging, put: PutBucketLogging},
		"metadataConfiguration":  {get: GetBucketMetadataConfiguration, post: CreateBucketMetadataConfiguration, del: DeleteBucketMetadataConfiguration},
		"metadataInventoryTable": {put: UpdateBucketMetadataInventoryTableConfiguration},
		"metadataJournalTable":   {put: UpdateBucketMetadataJournalTableConfiguration},
		"metadataTable":          {get: GetBucketMetadataTableConfiguration, post: CreateBucketMetadataTableConfiguration, del: DeleteBucketMetadataTableConfiguration},
		"metrics":                {get: GetBucketMetricsConfiguration, put: PutBucketMetricsConfiguration, del: DeleteBucketMetricsConfiguration},
		"notification":           {get: GetBucketNotificationConfiguration, put: PutBucketNotificationConfiguration},
		"object-lock":            {get: GetObjectLockConfiguration, put: PutObjectLockConfiguration},
		"ownershipControls":      {get: GetBucketOwnershipControls, put: PutBucketOwnershipControls, del: DeleteBucketOwnershipControls},
		"policy":                 {get: GetBucketPolicy, put: PutBucketPolicy, del: DeleteBucketPolicy},
		"policyStatus":           {get: GetBucketPolicyStatus},
		"publicAccessBlock":      {get: GetPublicAccessBlock, put: PutPublicAccessBlock, del: DeletePublicAccessBlock},
		"replication":            {get: GetBucketReplication, put: PutBucketReplication, del: DeleteBucketReplication},
		"requestPayment":         {get: GetBucketRequestPayment, put: PutBucketRequestPayment},
		"session":                {get: CreateSession},
		"tagging":                {get: GetBucketTagging, put: PutBucketTagging, del: DeleteBucketTagging},
		"uploads":                {get: ListMultipartUploads},
		"versioning":             {get: GetBucketVersioning, put: PutBucketVersioning},
		"versions":               {get: ListObjectVersions},
		"website":                {get: GetBucketWebsite, put: PutBucketWebsite, del: DeleteBucketWebsite},
	},
	kindObject: {
		"":             {get: GetObject, head: HeadObject, put: PutObject, del: DeleteObject},
		"acl":          {get: GetObjectAcl, put: PutObjectAcl},
		"attributes":   {get: GetObjectAttributes},
		"encryption":   {put: UpdateObjectEncryption},
		"legal-hold":   {get: GetObjectLegalHold, put: PutObjectLegalHold},
		"renameObject": {put: RenameObject},
		"restore":      {post: RestoreObject},
		"retention":    {get: GetObjectRetention, put: PutObjectRetention},
		"select":       {post: SelectObjectContent},
		"tagging":      {get: GetObjectTagging, put: PutObjectTagging, del: DeleteObjectTagging},
		"torrent":      {get: GetObjectTorrent},
		"uploadId":     {get: ListParts, put: UploadPart, post: CompleteMultipartUpload, del: AbortMultipartUpload},
		"uploads":      {post: CreateMultipartUpload},
	},
}

// listsWithoutID are the operations that list configurations when no id says
// which one is meant.
var listsWithoutID = map[OperationName]OperationName{
	GetBucketAnalyticsConfiguration:          ListBucketAnalyticsConfigurations,
	GetBucketIntelligentTieringConfiguration: ListBucketIntelligentTieringConfigurations,
	GetBucketInventoryConfiguration:          ListBucketInventoryConfigurations,
	GetBucketMetricsConfiguration:            ListBucketMetricsConfigurations,
}

// subresources are the query keys that change what a request means. Every
// other key is either a parameter of its operation or ignored, like x-id.
var subresources = func() map[string]bool {
	known := map[string]bool{
		"partNumber": true, "versionId": true, "select-type": true,
		"append": true, // Ceph, Alibaba: an append, where a PUT would overwrite
	}
	for _, table := range routes {
		for sub := range table {
			known[sub] = true
		}
	}
	delete(known, "")
	return known
}()

var implemented = map[OperationName]bool{
	ListBuckets: true, CreateBucket: true, HeadBucket: true, DeleteBucket: true, GetBucketLocation: true,
	ListObjects: true, ListObjectsV2: true, ListObjectVersions: true,
	PutObject: true, GetObject: true, HeadObject: true, DeleteObject: true, DeleteObjects: true, CopyObject: true,
	CreateMultipartUpload: true, UploadPart: true, CompleteMultipartUpload: true, AbortMultipartUpload: true,
	ListParts: true, ListMultipartUploads: true, GetObjectAttributes: true, UploadPartCopy: true,

	PostObject: true,

	GetObjectTagging: true, PutObjectTagging: true, DeleteObjectTagging: true,

	// of which every bucket says that it has none
	GetObjectRetention: true, PutObjectRetention: true, GetObjectLegalHold: true, PutObjectLegalHold: true,

	// what a bucket is asked about, and what can be set of it
	GetBucketAccelerateConfiguration: true, GetBucketEncryption: true, GetBucketLifecycleConfiguration: true, GetBucketLogging: true,
	GetBucketNotificationConfiguration: true, GetBucketReplication: true, GetBucketRequestPayment: true, GetBucketVersioning: true,
	GetBucketPolicy: true, GetBucketPolicyStatus: true, DeleteBucketPolicy: true,
	GetBucketWebsite: true, PutBucketWebsite: true, DeleteBucketWebsite: true, GetObjectLockConfiguration: true,
	GetBucketTagging: true, PutBucketTagging: true, DeleteBucketTagging: true,
	GetBucketOwnershipControls: true, PutBucketOwnershipControls: true, DeleteBucketOwnershipControls: true,
	GetBucketCors: true, PutBucketCors: true, DeleteBucketCors: true,
	GetPublicAccessBlock: true, PutPublicAccessBlock: true, DeletePublicAccessBlock: true,
	PutBucketPolicy: true,
	GetBucketAcl:    true, PutBucketAcl: true, GetObjectAcl: true, PutObjectAcl: true,
}

// ImplementedOperations returns the names that an implemented Operation can
// have, sorted: metrics of all of them can start at zero.
func ImplementedOperations() []OperationName {
	return slices.Sorted(maps.Keys(implemented))
}
