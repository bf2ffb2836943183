package s3

import (
	"bytes"
	"testing"
)

func TestParseChecksum(t *testing.T) {
	const (
		crc    = "AAAAAA=="
		sha    = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
		crcH   = "x-amz-checksum-crc32"
		sdk    = "x-amz-sdk-checksum-algorithm"
		trails = "X-Amz-Trailer"
	)
	for name, c := range map[string]struct {
		header []string
		want   string // algorithm, with * for a trailer; or the code
	}{
		"nothing":               {nil, ""},
		"mode alone":            {[]string{"x-amz-checksum-mode", "ENABLED"}, ""},
		"header":                {[]string{crcH, crc}, "crc32"},
		"header, announced":     {[]string{crcH, crc, sdk, "CRC32"}, "crc32"},
		"sha256":                {[]string{"x-amz-checksum-sha256", sha, "x-amz-checksum-algorithm", "sha256"}, "sha256"},
		"trailer":               {[]string{trails, "x-amz-checksum-CRC64NVME"}, "crc64nvme*"},
		"trailer, announced":    {[]string{trails, " x-amz-checksum-sha1 ", sdk, "SHA1"}, "sha1*"},
		"two":                   {[]string{crcH, crc, "x-amz-checksum-sha256", sha}, "InvalidRequest"},
		"two, one malformed":    {[]string{crcH, "!", "x-amz-checksum-sha256", sha}, "InvalidRequest"},
		"xxhash128":             {[]string{"x-amz-checksum-xxhash128", "AAAAAAAAAAAAAAAAAAAAAA=="}, "xxhash128"},
		"trailer of sha512":     {[]string{trails, "x-amz-checksum-sha512", sdk, "SHA512"}, "sha512*"},
		"one twice":             {[]string{crcH, crc, crcH, crc}, "InvalidRequest"},
		"header and trailer":    {[]string{crcH, crc, trails, crcH}, "InvalidRequest"},
		"unknown":               {[]string{"x-amz-checksum-crc16", crc}, "InvalidRequest"},
		"not base64":            {[]string{crcH, "!"}, "InvalidRequest"},
		"loose base64":          {[]string{crcH, "AAAAAB=="}, "InvalidRequest"},
		"wrong size":            {[]string{crcH, sha}, "InvalidRequest"},
		"empty":                 {[]string{crcH, ""}, "InvalidRequest"},
		"unknown trailer":       {[]string{trails, "x-amz-meta-a"}, "InvalidRequest"},
		"trailer of no kind":    {[]string{trails, "x-amz-checksum-crc16"}, "InvalidRequest"},
		"announced only":        {[]string{sdk, "CRC32"}, "InvalidRequest"},
		"algorithm only":        {[]string{"x-amz-checksum-algorithm", "CRC32"}, ""},
		"announced unknown":     {[]string{sdk, "MD4", crcH, crc}, "InvalidRequest"},
		"announced another one": {[]string{sdk, "SHA256", crcH, crc}, "InvalidRequest"},
	} {
		sum, err := ParseChecksum(request("PUT", "/b/k", "", c.header...).Header)
		got := sum.Algorithm
		switch {
		case err != nil:
			got = string(codeOf(err))
		case got != "" && sum.Value == nil:
			got += "*"
		}
		if got != c.want {
			t.Errorf("%s: %s (%v), want %s", name, got, err, c.want)
		}
		if err == nil && sum.Value != nil && len(sum.Value) != algorithms[sum.Algorithm].size {
			t.Errorf("%s: %d bytes", name, len(sum.Value))
		}
	}
	if h := (Checksum{Algorithm: "crc32c"}).Header(); h != "x-amz-checksum-crc32c" {
		t.Error(h)
	}
}

func TestParseContentMD5(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   []byte
		code   Code
	}{
		{nil, nil, ""},
		{[]string{"1B2M2Y8AsgTpgAmY7PhCfg=="}, []byte("\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e"), ""},
		{[]string{""}, nil, InvalidDigest},
		{[]string{"d41d8cd98f00b204e9800998ecf8427e"}, nil, InvalidDigest},
		{[]string{"1B2M2Y8AsgTpgAmY7PhCfg==", "1B2M2Y8AsgTpgAmY7PhCfg=="}, nil, InvalidDigest},
	} {
		var header []string
		for _, v := range c.values {
			header = append(header, "Content-MD5", v)
		}
		sum, err := ParseContentMD5(request("PUT", "/b/k", "", header...).Header)
		if !bytes.Equal(sum, c.want) || codeOf(err) != c.code {
			t.Errorf("%q: %x, %v", c.values, sum, err)
		}
	}
}
