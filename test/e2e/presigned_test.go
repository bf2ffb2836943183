//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/s3mirror/s3mirror/test/e2e/harness"
)

// TestPresigned has real clients sign URLs and curl use them, over http and
// https, path style and virtual-host style.
func TestPresigned(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			backends := harness.StartBackends(t, 3)
			s := site{scheme: scheme}
			o := harness.Options{S3: "domains: [s3.localhost]"}
			if scheme == "https" {
				cert, key := harness.Certificate(t)
				o.S3, s.ca = fmt.Sprintf("domains: [s3.localhost], tls: {cert: %s, key: %s}", cert, key), cert
			}
			g := harness.StartGateway(t, backends, o)
			s.addr, s.keys = g.S3Addr, g.Keys
			pairs := []urls{boto3URLs(t, s), goURLs(t, s), minioURLs(t, s)}
			for _, p := range pairs {
				t.Run(p.who, func(t *testing.T) { p.use(t, s) })
			}
			if t.Failed() {
				return
			}
			g.Converge(t)
			if held := harness.RequireEqual(t, g, presignedBucket, backends...); len(held) != len(pairs)+1 {
				t.Errorf("the backends hold %d objects, want %d", len(held), len(pairs)+1)
			}
		})
	}
}

const presignedBucket = "presigned"

// urls are what a signer hands to somebody without a key.
type urls struct {
	who                  string
	put, get, head, list string
	virtual              string // GET in virtual-host style; empty: not signed by this one
}

// use does with the URLs what they are for, and what they are not for.
func (u urls) use(t *testing.T, s site) {
	bin := harness.Tool(t, "curl", "the Debian package curl")
	call := func(want int, args ...string) string {
		t.Helper()
		args = append([]string{bin, "--silent", "--show-error", "--write-out", "\n%{http_code}"}, args...)
		if s.ca != "" {
			args = append(args, "--cacert", s.ca)
		}
		out := run(t, harness.CleanEnv(t), "", args...)
		body, status, _ := cutLast(out, "\n")
		if status != fmt.Sprint(want) {
			t.Errorf("%s: status %s, want %d\n%s", strings.Join(args[4:], " "), status, want, body)
		}
		return body
	}
	path, body := file(t, "body", 300_000)
	call(200, "-T", path, u.put)
	if got := call(200, u.get); got != string(body) {
		t.Errorf("read back %d bytes that are not the %d written", len(got), len(body))
	}
	if got := call(206, "-r", "10-19", u.get); got != string(body[10:20]) {
		t.Errorf("range: %q", got)
	}
	call(200, "--head", u.head)
	if got := call(200, u.list); !strings.Contains(got, "<Key>"+u.who) {
		t.Errorf("list:\n%s", got)
	}
	if u.virtual != "" {
		host, port, _ := strings.Cut(s.addr, ":")
		name := presignedBucket + ".s3.localhost:" + port
		if got := call(200, "--insecure", "--resolve", name+":"+host, u.virtual); got != string(body) {
			t.Errorf("virtual-host style: read back %d bytes", len(got))
		}
	}
	for why, args := range map[string][]string{
		"a GET used for a DELETE":  {"-X", "DELETE", u.get},
		"a GET used for a PUT":     {"-T", path, u.get},
		"an added parameter":       {u.get + "&versionId=1"},
		"an added header":          {"-T", path, "-H", "x-amz-acl: public-read", u.put},
		"an added copy source":     {"-X", "PUT", "-H", "Content-Length: 0", "-H", "x-amz-copy-source: /presigned/x", u.put},
		"another key of that name": {strings.Replace(u.get, "/"+u.who, "/other", 1)},
	} {
		if got := call(403, args...); !strings.Contains(got, "<Error>") {
			t.Errorf("%s: %s", why, got)
		}
	}
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// boto3URLs makes the bucket too, by the aws CLI and its own presign command.
func boto3URLs(t *testing.T, s site) urls {
	python := harness.Tool(t, "py-aws/bin/python", "python3 with venv; then scripts/tools.sh")
	script := `
import boto3, os
from botocore.config import Config
def client(style):
    return boto3.client("s3", endpoint_url=os.environ["ENDPOINT_" + style], config=Config(signature_version="s3v4", s3={"addressing_style": style}))
c, b = client("path"), "` + presignedBucket + `"
c.create_bucket(Bucket=b)
c.put_object(Bucket=b, Key="first", Body=b"first")
url = c.generate_presigned_url
print(url("put_object", Params={"Bucket": b, "Key": "boto3"}))
print(url("get_object", Params={"Bucket": b, "Key": "boto3"}))
print(url("head_object", Params={"Bucket": b, "Key": "boto3"}))
print(url("list_objects_v2", Params={"Bucket": b}))
print(client("virtual").generate_presigned_url("get_object", Params={"Bucket": b, "Key": "boto3"}))
`
	_, port, _ := strings.Cut(s.addr, ":")
	env := append(s.env(t), "ENDPOINT_path="+s.url(), "ENDPOINT_virtual="+s.scheme+"://s3.localhost:"+port)
	lines := strings.Fields(run(t, env, "", python, "-c", script))
	if len(lines) != 5 {
		t.Fatalf("boto3 says %q", lines)
	}
	aws := harness.Tool(t, "py-aws/bin/aws", "python3 with venv; then scripts/tools.sh")
	// The CLI signs with version 2 for us-east-1, and with 4 for a region it does not know.
	env = append(env, "AWS_DEFAULT_REGION=mirror-1", "AWS_CONFIG_FILE="+filepath.Join(t.TempDir(), "none"))
	get := strings.TrimSpace(run(t, env, "", aws, "--endpoint-url", s.url(), "s3", "presign", "s3://"+presignedBucket+"/boto3", "--expires-in", "600"))
	if !strings.Contains(get, "X-Amz-Expires=600") {
		t.Fatalf("aws s3 presign says %q", get)
	}
	return urls{who: "boto3", put: lines[0], get: get, head: lines[2], list: lines[3], virtual: lines[4]}
}

func goURLs(t *testing.T, s site) urls {
	client := func(endpoint string, path bool) *s3.PresignClient {
		return s3.NewPresignClient(s3.New(s3.Options{
			BaseEndpoint: &endpoint, Region: s.keys.Region, UsePathStyle: path,
			RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
			ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: s.keys.Access, SecretAccessKey: s.keys.Secret}, nil
			}),
		}))
	}
	_, port, _ := strings.Cut(s.addr, ":")
	c, virtual := client(s.url(), true), client(s.scheme+"://s3.localhost:"+port, false)
	bucket, key := presignedBucket, "aws-sdk-go"
	ctx := t.Context()
	get := &s3.GetObjectInput{Bucket: &bucket, Key: &key}
	return urls{
		who:     key,
		put:     presignedURL(t)(c.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key})),
		get:     presignedURL(t)(c.PresignGetObject(ctx, get)),
		head:    presignedURL(t)(c.PresignHeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})),
		list:    minioURL(t, s, http.MethodGet, "", map[string][]string{"list-type": {"2"}}),
		virtual: presignedURL(t)(virtual.PresignGetObject(ctx, get)),
	}
}

func presignedURL(t *testing.T) func(r *v4.PresignedHTTPRequest, err error) string {
	return func(r *v4.PresignedHTTPRequest, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r.URL
	}
}

func minioURLs(t *testing.T, s site) urls {
	const key = "minio-go"
	return urls{
		who:  key,
		put:  minioURL(t, s, http.MethodPut, key, nil),
		get:  minioURL(t, s, http.MethodGet, key, map[string][]string{"response-content-type": {"text/x-mine"}}),
		head: minioURL(t, s, http.MethodHead, key, nil),
		list: minioURL(t, s, http.MethodGet, "", nil),
	}
}

func minioURL(t *testing.T, s site, method, key string, query map[string][]string) string {
	t.Helper()
	c, err := minio.New(s.addr, &minio.Options{
		Creds: credentials.NewStaticV4(s.keys.Access, s.keys.Secret, ""), Region: s.keys.Region,
		Secure: s.scheme == "https", Transport: s.transport(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := c.Presign(t.Context(), method, presignedBucket, key, time.Hour, query)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// TestPresignedExpires waits for a URL of one second to end.
func TestPresignedExpires(t *testing.T) {
	t.Parallel()
	g := harness.StartGateway(t, harness.StartBackends(t, 3), harness.Options{})
	s := site{scheme: "http", addr: g.S3Addr, keys: g.Keys}
	c, err := minio.New(s.addr, &minio.Options{Creds: credentials.NewStaticV4(s.keys.Access, s.keys.Secret, ""), Region: s.keys.Region})
	if err != nil {
		t.Fatal(err)
	}
	u, err := c.Presign(t.Context(), http.MethodGet, presignedBucket, "", time.Second, nil) // a 404 until then
	if err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the URL expires", func() error {
		resp, err := http.Get(u.String())
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var body bytes.Buffer
		if _, err := body.ReadFrom(resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != 403 || !strings.Contains(body.String(), "<Code>AccessDenied</Code><Message>Request has expired") {
			return fmt.Errorf("status %d: %s", resp.StatusCode, body.String())
		}
		return nil
	})
}
