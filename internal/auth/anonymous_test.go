package auth_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/s3"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

func nobody(t *testing.T) *auth.User {
	t.Helper()
	v, err := auth.Anonymous(nil)
	if err != nil || v.Login != auth.AnonymousLogin || !v.User.Anonymous() || v.AccessKeyID != "" {
		t.Fatalf("%+v, %v", v, err)
	}
	return v.User
}

// public are the operations that a policy which allows everything to everybody opens to
// whoever has no credentials. Whatever is not here he may never do.
var public = []s3.OperationName{
	s3.AbortMultipartUpload, s3.CompleteMultipartUpload, s3.DeleteBucket, s3.DeleteObject, s3.DeleteObjectTagging, s3.DeleteObjects,
	s3.GetBucketAbac, s3.GetBucketAccelerateConfiguration, s3.GetBucketAcl, s3.GetBucketAnalyticsConfiguration, s3.GetBucketCors,
	s3.GetBucketEncryption, s3.GetBucketIntelligentTieringConfiguration, s3.GetBucketInventoryConfiguration,
	s3.GetBucketLifecycleConfiguration, s3.GetBucketLocation, s3.GetBucketLogging, s3.GetBucketMetadataConfiguration,
	s3.GetBucketMetadataTableConfiguration, s3.GetBucketMetricsConfiguration, s3.GetBucketNotificationConfiguration,
	s3.GetBucketReplication, s3.GetBucketRequestPayment, s3.GetBucketTagging, s3.GetBucketVersioning, s3.GetBucketWebsite,
	s3.GetObject, s3.GetObjectAcl, s3.GetObjectAttributes, s3.GetObjectLegalHold, s3.GetObjectLockConfiguration,
	s3.GetObjectRetention, s3.GetObjectTagging, s3.GetObjectTorrent, s3.GetPublicAccessBlock, s3.HeadBucket, s3.HeadObject,
	s3.ListBucketAnalyticsConfigurations, s3.ListBucketIntelligentTieringConfigurations, s3.ListBucketInventoryConfigurations,
	s3.ListBucketMetricsConfigurations, s3.ListMultipartUploads, s3.ListObjectVersions, s3.ListObjects, s3.ListObjectsV2, s3.ListParts,
	s3.PostObject, s3.PutObject, s3.PutObjectLegalHold, s3.PutObjectRetention, s3.PutObjectTagging, s3.RestoreObject, s3.UploadPart,
	s3.UpdateObjectEncryption,
}

// TestAnonymousMayOnlyWhatAPolicyAllowsToEverybody: every operation, without a policy, with
// policies about others, and with one that allows all.
func TestAnonymousMayOnlyWhatAPolicyAllowsToEverybody(t *testing.T) {
	u := nobody(t)
	all := mustPolicy(t, told("Allow", `"*"`, `"s3:*"`, allOfIt))
	named, err := auth.ParseBucketPolicy([]byte(`{"Statement":[`+told("Allow", `{"AWS":["anonymous","clerk"]}`, `"s3:*"`, allOfIt)+`]}`), "photos",
		func(string) (bool, error) { return true, nil }) // as a user of that name once was
	if err != nil {
		t.Fatal(err)
	}
	denied := mustPolicy(t, told("Allow", `{"AWS":"*"}`, `"s3:*"`, allOfIt)+","+told("Deny", `"*"`, `"s3:*"`, allOfIt))
	var open []s3.OperationName
	for _, op := range s3.Operations() {
		for what, p := range map[string]*auth.BucketPolicy{"no policy": nil, "one for others": named, "one that denies": denied} {
			a := ask(op)
			a.Policy, a.SourcePolicy = p, p
			if auth.Authorize(u, a) == nil {
				t.Errorf("%s is open to everybody by %s", op, what)
			}
		}
		a := ask(op)
		a.Policy, a.SourcePolicy = all, all
		if auth.Authorize(u, a) == nil {
			open = append(open, op)
		}
		if a.Restricted = true; auth.Authorize(u, a) == nil {
			t.Errorf("%s is open to everybody in a bucket that is restricted", op)
		}
		a.Restricted, a.Source = false, object.Key{Bucket: "private", Name: "x"}
		if a.SourcePolicy = nil; (op == s3.CopyObject || op == s3.UploadPartCopy) && auth.Authorize(u, a) == nil {
			t.Errorf("%s reads another bucket", op)
		}
	}
	slices.Sort(open)
	want := slices.Sorted(slices.Values(public))
	if !slices.Equal(open, want) {
		for _, op := range open {
			if !slices.Contains(want, op) {
				t.Errorf("%s is open to everybody", op)
			}
		}
		for _, op := range want {
			if !slices.Contains(open, op) {
				t.Errorf("%s is not", op)
			}
		}
	}
}

// TestAnonymousAndConditions: who he is is never known, so nothing that asks for it holds.
func TestAnonymousAndConditions(t *testing.T) {
	u := nobody(t)
	for condition, open := range map[string]bool{
		`{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`:                   true,
		`{"IpAddress":{"aws:SourceIp":"11.0.0.0/8"}}`:                   false,
		`{"StringEquals":{"aws:username":"anonymous"}}`:                 false,
		`{"StringLike":{"aws:userid":"*"}}`:                             false,
		`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam:::user/*"}}`:       false,
		`{"StringNotEquals":{"aws:username":"clerk"}}`:                  true, // as on AWS, which counts it as public
		`{"Null":{"aws:username":"true"}}`:                              true,
		`{"StringEqualsIfExists":{"aws:userid":"clerk"}}`:               true,
		`{"StringEquals":{"aws:UserAgent":"secret of the front"}}`:      true,
		`{"StringEquals":{"aws:UserAgent":"another secret"}}`:           false,
		`{"ForAnyValue:StringNotEquals":{"aws:PrincipalArn":"nobody"}}`: false,
	} {
		a := ask(s3.GetObject)
		a.Policy, a.Facts = mustPolicy(t, told("Allow", `"*"`, `"s3:GetObject"`, allObjects, condition)), facts("useragent", "secret of the front")
		if err := auth.Authorize(u, a); (err == nil) != open {
			t.Errorf("%s: %v", condition, err)
		}
	}
	// What is for one network only is not for everybody, so a restricted bucket keeps it.
	a := ask(s3.GetObject)
	a.Restricted, a.Policy = true, mustPolicy(t, told("Allow", `"*"`, `"s3:GetObject"`, allObjects, `{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`))
	if err := auth.Authorize(u, a); err != nil {
		t.Error(err)
	}
}

// TestBare: whatever is left of a signature keeps a request from being one without.
func TestBare(t *testing.T) {
	for target, bare := range map[string]bool{
		"/b/k": true, "/b?list-type=2&prefix=signature": true, "/b?Expires=1": true,
		"/b/k?X-Amz-Signature=x": false, "/b/k?x-amz-credential=x": false, "/b/k?X-Amz-Expires": false, "/b/k?X-Amz-Date=x": false,
		"/b/k?AWSAccessKeyId=x": false, "/b/k?Signature=x&Expires=1": false, "/b/k?X-Amz-Security-Token=x": false, "/b/k?X-Amz-%53ignature=x": false,
	} {
		if got := auth.Bare(&http.Request{RequestURI: target, Header: http.Header{}}); got != bare {
			t.Errorf("%s: %v", target, got)
		}
	}
	for name, value := range map[string]string{
		"Authorization": "", "X-Amz-Date": "20260101T000000Z", "X-Amz-Security-Token": "x",
	} {
		if auth.Bare(&http.Request{RequestURI: "/b/k", Header: http.Header{name: {value}}}) {
			t.Errorf("%s: %q is nothing", name, value)
		}
	}
	if !auth.Bare(&http.Request{RequestURI: "/b/k", Header: http.Header{"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}}}) {
		t.Error("how a body is framed is no signature")
	}
	for _, field := range []string{"policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token", "awsaccesskeyid", "signature"} {
		if auth.BareForm(map[string]string{"key": "k", field: ""}) {
			t.Errorf("a form with %s has no credentials", field)
		}
	}
	if !auth.BareForm(map[string]string{"key": "k", "content-type": "x", "acl": "private"}) {
		t.Error("a form without credentials has some")
	}
}

// TestAnonymousFraming: a body whose frame would need a signature is none.
func TestAnonymousFraming(t *testing.T) {
	for payload, mode := range map[string]sigv4.Mode{
		"": sigv4.Unsigned, "UNSIGNED-PAYLOAD": sigv4.Unsigned, "STREAMING-UNSIGNED-PAYLOAD-TRAILER": sigv4.UnsignedTrailer, "incorrect_hash": sigv4.Literal,
	} {
		v, err := auth.Anonymous(http.Header{"X-Amz-Content-Sha256": {payload}})
		if err != nil || v.Mode != mode {
			t.Errorf("%q: %v, %v", payload, v.Mode, err)
		}
	}
	for _, payload := range []string{
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
	} {
		v, err := auth.Anonymous(http.Header{"X-Amz-Content-Sha256": {payload}})
		if s3.ForClient(err).Code != s3.InvalidRequest || !v.User.Anonymous() || v.Mode.Chunked() {
			t.Errorf("%s: %v, %v", payload, v.Mode, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("chunks of a request that nobody signed carry signatures")
		}
	}()
	sigv4.Plain(sigv4.Signed, "", [32]byte{})
}
