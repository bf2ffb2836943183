package s3

import "net/http"

// Code is an error code of the S3 API. It is an error itself, so that
// errors.Is(err, s3.NoSuchKey) asks for an *Error of that code anywhere in a
// chain.
type Code string

func (c Code) Error() string { return string(c) }

// The codes that the gateway answers with or reads from a backend. Status and
// text of each stand in codes.
const (
	AccessControlListNotSupported     Code = "AccessControlListNotSupported"
	AccessDenied                      Code = "AccessDenied"
	AccessForbidden                   Code = "AccessForbidden"
	AuthorizationHeaderMalformed      Code = "AuthorizationHeaderMalformed"
	AuthorizationQueryParametersError Code = "AuthorizationQueryParametersError"
	BadDigest                         Code = "BadDigest"
	BadName                           Code = "400" // versitygw's, of a name that it cannot hold
	BadRequest                        Code = "BadRequest"
	BucketAlreadyExists               Code = "BucketAlreadyExists"
	BucketAlreadyOwnedByYou           Code = "BucketAlreadyOwnedByYou"
	BucketNotEmpty                    Code = "BucketNotEmpty"
	ConditionalRequestConflict        Code = "ConditionalRequestConflict"
	DirectoryObjectContainsData       Code = "DirectoryObjectContainsData"
	EntityTooLarge                    Code = "EntityTooLarge"
	EntityTooSmall                    Code = "EntityTooSmall"
	ExistingObjectIsDirectory         Code = "ExistingObjectIsDirectory"
	ExpiredToken                      Code = "ExpiredToken"
	IllegalLocationConstraint         Code = "IllegalLocationConstraintException"
	IncompleteBody                    Code = "IncompleteBody"
	InsufficientStorage               Code = "InsufficientStorage"
	InternalError                     Code = "InternalError"
	InvalidAccessKeyID                Code = "InvalidAccessKeyId"
	InvalidArgument                   Code = "InvalidArgument"
	InvalidBucketACLWithOwnership     Code = "InvalidBucketAclWithObjectOwnership"
	InvalidBucketName                 Code = "InvalidBucketName"
	InvalidChunkSize                  Code = "InvalidChunkSizeError"
	InvalidDigest                     Code = "InvalidDigest"
	InvalidLocationConstraint         Code = "InvalidLocationConstraint"
	InvalidObjectState                Code = "InvalidObjectState"
	InvalidPart                       Code = "InvalidPart"
	InvalidPartNumber                 Code = "InvalidPartNumber"
	InvalidPartOrder                  Code = "InvalidPartOrder"
	InvalidPolicyDocument             Code = "InvalidPolicyDocument"
	InvalidRange                      Code = "InvalidRange"
	InvalidRedirectLocation           Code = "InvalidRedirectLocation"
	InvalidStorageClass               Code = "InvalidStorageClass"
	InvalidRequest                    Code = "InvalidRequest"
	InvalidTag                        Code = "InvalidTag"
	InvalidToken                      Code = "InvalidToken"
	InvalidURI                        Code = "InvalidURI"
	KeyTooLong                        Code = "KeyTooLongError"
	MalformedACL                      Code = "MalformedACLError"
	MalformedPolicy                   Code = "MalformedPolicy"
	MalformedPOSTRequest              Code = "MalformedPOSTRequest"
	MalformedTrailer                  Code = "MalformedTrailerError"
	MalformedXML                      Code = "MalformedXML"
	MaxMessageLengthExceeded          Code = "MaxMessageLengthExceeded"
	MetadataTooLarge                  Code = "MetadataTooLarge"
	MethodNotAllowed                  Code = "MethodNotAllowed"
	MissingContentLength              Code = "MissingContentLength"
	MissingRequestBody                Code = "MissingRequestBodyError"
	MissingSecurityHeader             Code = "MissingSecurityHeader"
	NoSuchBucket                      Code = "NoSuchBucket"
	NoSuchBucketPolicy                Code = "NoSuchBucketPolicy"
	NoSuchCORSConfiguration           Code = "NoSuchCORSConfiguration"
	NoSuchKey                         Code = "NoSuchKey"
	NoSuchLifecycleConfiguration      Code = "NoSuchLifecycleConfiguration"
	NoSuchPublicAccessBlock           Code = "NoSuchPublicAccessBlockConfiguration"
	NoSuchTagSet                      Code = "NoSuchTagSet"
	NoSuchUpload                      Code = "NoSuchUpload"
	NoSuchVersion                     Code = "NoSuchVersion"
	NoSuchWebsiteConfiguration        Code = "NoSuchWebsiteConfiguration"
	NotImplemented                    Code = "NotImplemented"
	ObjectLockConfigurationNotFound   Code = "ObjectLockConfigurationNotFoundError"
	ObjectParentIsFile                Code = "ObjectParentIsFile"
	OperationAborted                  Code = "OperationAborted"
	OwnershipControlsNotFound         Code = "OwnershipControlsNotFoundError"
	PermanentRedirect                 Code = "PermanentRedirect"
	PreconditionFailed                Code = "PreconditionFailed"
	QuotaExceeded                     Code = "QuotaExceeded"
	ReplicationNotFound               Code = "ReplicationConfigurationNotFoundError"
	RequestHeaderSectionTooLarge      Code = "RequestHeaderSectionTooLarge"
	RequestTimeout                    Code = "RequestTimeout"
	RequestTimeTooSkewed              Code = "RequestTimeTooSkewed"
	ServiceUnavailable                Code = "ServiceUnavailable"
	SignatureDoesNotMatch             Code = "SignatureDoesNotMatch"
	SlowDown                          Code = "SlowDown"
	SSEConfigurationNotFound          Code = "ServerSideEncryptionConfigurationNotFoundError"
	TemporaryRedirect                 Code = "TemporaryRedirect"
	Unauthorized                      Code = "Unauthorized" // no code of S3's: a bearer token is no good
	UnexpectedContent                 Code = "UnexpectedContent"
	XAmzContentSHA256Mismatch         Code = "XAmzContentSHA256Mismatch"
)

// Codes that S3 never writes into a document.
const (
	// NotModified is the verdict of a conditional read: 304, never a body.
	NotModified Code = "NotModified"
	// NotFound is a 404 whose body did not say what is missing: the answer to
	// every HEAD, and the 404 of something that is not an S3 server. Only who
	// sent the request can tell what it means.
	NotFound Code = "NotFound"
)

type codeInfo struct {
	status int
	text   string
}

// codes is the one table: HTTP status and default text of every code, in the
// words that AWS uses, since test suites and humans compare them.
var codes = map[Code]codeInfo{
	AccessControlListNotSupported:     {400, "The bucket does not allow ACLs."},
	AccessDenied:                      {403, "Access Denied."},
	AccessForbidden:                   {403, "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."},
	AuthorizationHeaderMalformed:      {400, "The authorization header you provided is invalid."},
	AuthorizationQueryParametersError: {400, "Error parsing the query authentication parameters."},
	BadDigest:                         {400, "The Content-MD5 you specified did not match what we received."},
	BadName:                           {400, "Bad Request"},
	BadRequest:                        {400, "An error occurred when parsing the HTTP request."},
	BucketAlreadyExists:               {409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."},
	BucketAlreadyOwnedByYou:           {409, "Your previous request to create the named bucket succeeded and you already own it."},
	BucketNotEmpty:                    {409, "The bucket you tried to delete is not empty."},
	ConditionalRequestConflict:        {409, "The conditional request cannot succeed due to a conflicting operation against this resource."},
	DirectoryObjectContainsData:       {400, "Directory object contains data payload."},
	EntityTooLarge:                    {400, "Your proposed upload exceeds the maximum allowed object size."},
	EntityTooSmall:                    {400, "Your proposed upload is smaller than the minimum allowed size"},
	ExistingObjectIsDirectory:         {409, "Existing Object is a directory."},
	ExpiredToken:                      {400, "The provided token has expired."},
	IllegalLocationConstraint:         {400, "The specified location constraint is incompatible for the region specific endpoint this request was sent to."},
	IncompleteBody:                    {400, "You did not provide the number of bytes specified by the Content-Length HTTP header"},
	InsufficientStorage:               {507, "No space left on device."},
	InternalError:                     {500, "We encountered an internal error, please try again."},
	InvalidAccessKeyID:                {403, "The AWS Access Key Id you provided does not exist in our records."},
	InvalidArgument:                   {400, "Invalid Argument"},
	InvalidBucketACLWithOwnership:     {400, "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"},
	InvalidBucketName:                 {400, "The specified bucket is not valid."},
	InvalidChunkSize:                  {400, "Only the last chunk is allowed to have a size less than 8192 bytes"},
	InvalidDigest:                     {400, "The Content-Md5 you specified is not valid."},
	InvalidLocationConstraint:         {400, "The specified location-constraint is not valid"},
	InvalidObjectState:                {403, "The operation is not valid for the current state of the object."},
	InvalidPart:                       {400, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."},
	InvalidPartNumber:                 {416, "The requested partnumber is not satisfiable."},
	InvalidPartOrder:                  {400, "The list of parts was not in ascending order. Parts must be ordered by part number."},
	InvalidPolicyDocument:             {400, "The content of the form does not meet the conditions specified in the policy document."},
	InvalidRange:                      {416, "The requested range is not satisfiable"},
	InvalidStorageClass:               {400, "The storage class you specified is not valid"},
	InvalidRedirectLocation:           {400, "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."},
	InvalidRequest:                    {400, "Invalid Request."},
	InvalidTag:                        {400, "The tag provided was not a valid tag."},
	InvalidToken:                      {400, "The provided token is malformed or otherwise invalid."},
	InvalidURI:                        {400, "The specified URI couldn't be parsed."},
	KeyTooLong:                        {400, "Your key is too long."},
	MalformedACL:                      {400, "The XML you provided was not well-formed or did not validate against our published schema."},
	MalformedPolicy:                   {400, "Policy has invalid resource."},
	MalformedPOSTRequest:              {400, "The body of your POST request is not well-formed multipart/form-data."},
	MalformedTrailer:                  {400, "The request contained trailing data that was not well-formed or did not conform to our published schema."},
	MalformedXML:                      {400, "The XML you provided was not well-formed or did not validate against our published schema."},
	MaxMessageLengthExceeded:          {400, "Your request was too big."},
	MetadataTooLarge:                  {400, "Your metadata headers exceed the maximum allowed metadata size"},
	MethodNotAllowed:                  {405, "The specified method is not allowed against this resource."},
	MissingContentLength:              {411, "You must provide the Content-Length HTTP header."},
	MissingRequestBody:                {400, "Request Body is empty"},
	MissingSecurityHeader:             {404, "Your request was missing a required header."},
	NoSuchBucket:                      {404, "The specified bucket does not exist."},
	NoSuchBucketPolicy:                {404, "The bucket policy does not exist."},
	NoSuchCORSConfiguration:           {404, "The CORS configuration does not exist"},
	NoSuchKey:                         {404, "The specified key does not exist."},
	NoSuchLifecycleConfiguration:      {404, "The lifecycle configuration does not exist"},
	NoSuchPublicAccessBlock:           {404, "The public access block configuration was not found"},
	NoSuchTagSet:                      {404, "The TagSet does not exist."},
	NoSuchUpload:                      {404, "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."},
	NoSuchVersion:                     {404, "The specified version does not exist."},
	NoSuchWebsiteConfiguration:        {404, "The specified bucket does not have a website configuration"},
	NotFound:                          {404, "Not Found"},
	NotImplemented:                    {501, "A header you provided implies functionality that is not implemented."},
	NotModified:                       {304, "Not Modified"},
	ObjectLockConfigurationNotFound:   {404, "Object Lock configuration does not exist for this bucket."},
	ObjectParentIsFile:                {409, "Object parent already exists as a file."},
	OperationAborted:                  {409, "A conflicting conditional operation is currently in progress against this resource. Please try again."},
	OwnershipControlsNotFound:         {404, "The bucket ownership controls were not found."},
	PermanentRedirect:                 {301, "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."},
	PreconditionFailed:                {412, "At least one of the pre-conditions you specified did not hold."},
	QuotaExceeded:                     {403, "Your request was denied due to quota exceeded."},
	ReplicationNotFound:               {404, "The replication configuration was not found"},
	RequestHeaderSectionTooLarge:      {400, "Your request header section exceeds the maximum allowed size."},
	RequestTimeout:                    {400, "Your socket connection to the server was not read from or written to within the timeout period."},
	RequestTimeTooSkewed:              {403, "The difference between the request time and the current time is too large."},
	ServiceUnavailable:                {503, "Service is unable to handle request."},
	SignatureDoesNotMatch:             {403, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	SlowDown:                          {503, "Please reduce your request rate."},
	SSEConfigurationNotFound:          {404, "The server side encryption configuration was not found"},
	TemporaryRedirect:                 {307, "Please re-send this request to the specified temporary endpoint. Continue to use the original request endpoint for future requests."},
	Unauthorized:                      {401, "The bearer token is not valid, or not any more."},
	UnexpectedContent:                 {400, "This request does not support content."},
	XAmzContentSHA256Mismatch:         {400, "The provided 'x-amz-content-sha256' header does not match what was computed."},
}

// Status is the HTTP status of the code; 500 for a code that is not ours.
func (c Code) Status() int {
	if info, ok := codes[c]; ok {
		return info.status
	}
	return http.StatusInternalServerError
}

// Text is the default text of the code.
func (c Code) Text() string { return codes[c].text }
