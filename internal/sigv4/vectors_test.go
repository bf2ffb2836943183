package sigv4_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// The examples of the S3 API reference ("Authenticating Requests: Using the
// Authorization Header", "Signature Calculations ... Transferring Payload in
// Multiple Chunks", "... with Trailing Headers"): AWS's own keys and results.
const (
	docKey    = "AKIAIOSFODNN7EXAMPLE"
	docSecret = sigv4.Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
	docDate   = "20130524T000000Z"
	emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

var docTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

func TestDocumentedRequests(t *testing.T) {
	welcome := sha256.Sum256([]byte("Welcome to Amazon S3."))
	for _, tc := range []struct {
		name, method, uri string
		headers           map[string]string
		hash, signature   string
	}{
		{
			"get object", "GET", "/test.txt", map[string]string{"Range": "bytes=0-9"}, emptyHash,
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
		},
		{
			"put object", "PUT", "/test$file.text",
			map[string]string{"Date": "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY"},
			hex.EncodeToString(welcome[:]),
			"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
		},
		{
			"get bucket lifecycle", "GET", "/?lifecycle", nil, emptyHash,
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
		},
		{
			"list objects", "GET", "/?max-keys=2&prefix=J", nil, emptyHash,
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &http.Request{Method: tc.method, Host: "examplebucket.s3.amazonaws.com", Header: http.Header{}, RequestURI: tc.uri}
			for k, v := range tc.headers {
				r.Header.Set(k, v)
			}
			path, query, _ := strings.Cut(tc.uri, "?")
			sigv4.NewSigner(docKey, docSecret, "us-east-1").Sign(r, path, query, tc.hash, docTime)
			if got := r.Header.Get("Authorization"); !strings.HasSuffix(got, "Signature="+tc.signature) {
				t.Errorf("signed as %s, want signature %s", got, tc.signature)
			}
			q, err := sigv4.Parse(r, docTime.Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			if err := q.Verify(docSecret); err != nil {
				t.Error(err)
			}
			if err := q.Verify(docSecret + "x"); code(err) != "SignatureDoesNotMatch" {
				t.Errorf("wrong secret: %v", err)
			}
		})
	}
}

// documentedUpload is the chunked upload of the reference: 65 KiB of 'a'.
func documentedUpload(extra map[string]string, mode sigv4.Mode) (*http.Request, *sigv4.ChunkSigner) {
	r := &http.Request{Method: "PUT", Host: "s3.amazonaws.com", Header: http.Header{}, RequestURI: "/examplebucket/chunkObject.txt"}
	r.Header.Set("Content-Encoding", "aws-chunked")
	r.Header.Set("X-Amz-Decoded-Content-Length", "66560")
	r.Header.Set("X-Amz-Storage-Class", "REDUCED_REDUNDANCY")
	for k, v := range extra {
		r.Header.Set(k, v)
	}
	signer := sigv4.NewSigner(docKey, docSecret, "us-east-1")
	return r, signer.Sign(r, r.RequestURI, "", mode.String(), docTime)
}

func TestDocumentedTrailerChunks(t *testing.T) {
	r, signer := documentedUpload(map[string]string{"X-Amz-Trailer": "x-amz-checksum-crc32c"}, sigv4.SignedTrailer)
	if got, want := r.Header.Get("Authorization"), "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"; !strings.HasSuffix(got, want) {
		t.Fatalf("seed %s, want %s", got, want)
	}
	data := bytes.Repeat([]byte("a"), 66560)
	var got []byte
	for _, c := range []struct {
		data []byte
		want string
	}{
		{data[:65536], "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"},
		{data[65536:], "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"},
		{nil, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"},
	} {
		header := signer.ChunkHeader(nil, len(c.data), sha256.Sum256(c.data))
		if !bytes.HasSuffix(header, []byte(c.want+"\r\n")) {
			t.Errorf("chunk of %d bytes: %q, want signature %s", len(c.data), header, c.want)
		}
		got = append(append(got, header...), c.data...)
		if c.data != nil {
			got = append(got, "\r\n"...)
		}
	}
	end := signer.Trailer(nil, "x-amz-checksum-crc32c", "sOO8/Q==")
	if want := "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"; !strings.Contains(string(end), want) {
		t.Errorf("trailer %q, want signature %s", end, want)
	}
	got = append(got, end...)

	q := verified(t, r, docTime, docSecret)
	c := q.Chunks(bytes.NewReader(got), 66560, []string{"x-amz-checksum-crc32c"})
	if back, err := io.ReadAll(c); err != nil || !bytes.Equal(back, data) {
		t.Errorf("read back %d bytes, %v", len(back), err)
	}
	if got := trailerOf(c, "x-amz-checksum-crc32c"); got != "sOO8/Q==" {
		t.Errorf("trailer %q", got)
	}
}

func TestDocumentedChunks(t *testing.T) {
	// The example signs Content-Length too, which our Signer leaves out; so
	// this one is verified as received.
	r, _ := documentedUpload(nil, sigv4.Signed)
	r.Header.Set("Content-Length", "66824")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"+
		"SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,"+
		"Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")
	data := bytes.Repeat([]byte("a"), 66560)
	body := "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" + string(data[:65536]) + "\r\n" +
		"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" + string(data[65536:]) + "\r\n" +
		"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
	if len(body) != 66824 || sigv4.EncodedLength(sigv4.Signed, 66560, 65536, "", 0) != 66824 {
		t.Errorf("lengths %d, %d, want 66824", len(body), sigv4.EncodedLength(sigv4.Signed, 66560, 65536, "", 0))
	}
	q := verified(t, r, docTime, docSecret)
	back, err := io.ReadAll(q.Chunks(strings.NewReader(body), 66560, nil))
	if err != nil || !bytes.Equal(back, data) {
		t.Errorf("read back %d bytes, %v", len(back), err)
	}
}
