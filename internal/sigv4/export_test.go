package sigv4

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Signature Version 2 is what it is
	"encoding/base64"
)

// SignText signs a text as a form's policy is signed.
func SignText(secret Secret, date, region, text string) string {
	sum := signingKey(secret, date, region).sign([]byte(text))
	return string(sum[:])
}

// SignTextV2 does so by Signature Version 2.
func SignTextV2(secret Secret, text string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
