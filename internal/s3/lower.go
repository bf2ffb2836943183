package s3

import "strings"

// lowerField is strings.ToLower of the name of a header, which makes a new string each
// time, with the names at hand that nearly every request or answer has.
func lowerField(name string) string {
	if l, ok := lowerFields[name]; ok {
		return l
	}
	return strings.ToLower(name)
}

var lowerFields = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Ranges", "Authorization", "Connection", "Content-Encoding", "Content-Length",
		"Content-Md5", "Content-Type", "Date", "Etag", "Expect", "If-Match", "If-None-Match", "Last-Modified", "Range", "Server",
		"User-Agent", "X-Amz-Checksum-Crc32", "X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Crc64nvme", "X-Amz-Checksum-Sha256",
		"X-Amz-Checksum-Mode", "X-Amz-Checksum-Type", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Decoded-Content-Length",
		"X-Amz-Id-2", "X-Amz-Meta-S3mirror-Stamp", "X-Amz-Request-Id", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Trailer",
	} {
		names[name] = strings.ToLower(name)
	}
	return names
}()
