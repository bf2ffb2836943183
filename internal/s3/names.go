package s3

import (
	"net/netip"
	"strings"
)

// CheckBucketName applies the rules of AWS for general purpose buckets, so that
// a name is legal on every replica. InvalidBucketName.
func CheckBucketName(name string) error {
	if validBucketName(name) {
		return nil
	}
	return Err(InvalidBucketName).With("BucketName", name)
}

func validBucketName(name string) bool {
	if len(name) < 3 || len(name) > 63 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return false
		}
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	return !reservedBucketName(name)
}

func validLabel(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && s[0] != '-' && s[len(s)-1] != '-'
}

// reservedBucketName holds for the names that AWS gives a meaning of their own.
func reservedBucketName(name string) bool {
	for _, p := range []string{"xn--", "sthree-"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	for _, s := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return false
}
