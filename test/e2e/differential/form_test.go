//go:build e2e

package differential

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/s3mirror/s3mirror/test/e2e/wire"
)

// A form is a browser's upload before it is signed.
type form struct {
	key     string
	file    []byte
	status  string // success_action_status
	extra   wire.Field
	allowed bool   // by the policy, of extra
	without string // the field that is left out
	policy  string // instead of the right one
	most    int    // bytes of the file, of the policy
	least   int
	forged  bool
	expired bool
}

const boundary = "----differential"

// body is the form as one side gets it, signed with its keys.
func (f *form) body(keys wire.Keys, bucket string, now time.Time) []byte {
	until := now.Add(time.Hour)
	if f.expired {
		until = now.Add(-time.Hour)
	}
	date := now.UTC().Format("20060102T150405Z")
	scope := date[:8] + "/" + keys.Region + "/s3/aws4_request"
	fields := []wire.Field{
		field("key", f.key), field("x-amz-algorithm", "AWS4-HMAC-SHA256"), field("x-amz-date", date),
		field("x-amz-credential", keys.Access+"/"+scope),
	}
	conditions := []any{map[string]string{"bucket": bucket}, []any{"starts-with", "$key", ""}, []any{"content-length-range", f.least, f.most}}
	for _, c := range fields[1:] {
		conditions = append(conditions, map[string]string{c.Name: c.Value})
	}
	if f.status != "" {
		fields = append(fields, field("success_action_status", f.status))
		conditions = append(conditions, map[string]string{"success_action_status": f.status})
	}
	if f.extra.Name != "" {
		fields = append(fields, f.extra)
		if f.allowed {
			conditions = append(conditions, []any{"starts-with", "$" + f.extra.Name, ""})
		}
	}
	policy := f.policy
	if policy == "" {
		text, err := json.Marshal(map[string]any{"expiration": until.UTC().Format("2006-01-02T15:04:05Z"), "conditions": conditions})
		if err != nil {
			panic(err)
		}
		policy = string(text)
	}
	policy = base64.StdEncoding.EncodeToString([]byte(policy))
	secret := keys.Secret
	if f.forged {
		secret = "guess"
	}
	signature := signText(secret, scope, policy)
	fields = append(fields, field("policy", policy), field("x-amz-signature", signature))
	var b bytes.Buffer
	for _, one := range fields {
		if one.Name != f.without {
			fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, one.Name, one.Value)
		}
	}
	if f.without != "file" {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.txt\"\r\n\r\n%s\r\n", boundary, f.file)
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes()
}
