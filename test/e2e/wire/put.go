package wire

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// Mode is how a body is protected on its way: the forms that real clients use.
type Mode string

const (
	Literal         Mode = "literal"          // SHA-256 of the whole body in the head: boto3 and aws CLI over http
	Unsigned        Mode = "unsigned"         // nothing: rclone over http, everyone over https
	SignedChunks    Mode = "signed-chunks"    // a signature per chunk: minio-go, restic
	UnsignedTrailer Mode = "unsigned-trailer" // a checksum after the body: SDKs over https
	SignedTrailer   Mode = "signed-trailer"   // both
)

// Modes are all of them.
var Modes = []Mode{Literal, Unsigned, SignedChunks, UnsignedTrailer, SignedTrailer}

// Chunked tells whether the body travels in aws-chunks.
func (m Mode) Chunked() bool { return m == SignedChunks || m == UnsignedTrailer || m == SignedTrailer }

// Signed tells whether its chunks are signed.
func (m Mode) Signed() bool { return m == SignedChunks || m == SignedTrailer }

// Trailer tells whether a checksum follows the body.
func (m Mode) Trailer() bool { return m == UnsignedTrailer || m == SignedTrailer }

// chunkSize is the size of every aws-chunk but the last.
const chunkSize = 64 << 10

const (
	crcName = "x-amz-checksum-crc32"
	zeroSig = "0000000000000000000000000000000000000000000000000000000000000000"
)

// Put describes one PutObject, or with a query one UploadPart. The zero Fault leaves it as a client means it.
type Put struct {
	Keys   Keys
	Host   string
	Bucket string
	Key    string
	Query  string // encoded
	Mode   Mode
	Body   []byte
	Header []Field // of the client's own
	MD5    bool    // send Content-MD5
	CRC    bool    // send x-amz-checksum-crc32 in the head
	Sum    Field   // the trailer of the body; zero: x-amz-checksum-crc32
	Fault  Fault
	Now    time.Time
}

// Message is a request ready to travel.
type Message struct {
	Head, Body []byte
}

// Message writes the request, with its fault.
func (p Put) Message() Message {
	r, body := p.Request()
	return Message{Head: r.Head(), Body: body}
}

// Request is the signed head and the encoded body, with the fault in them.
func (p Put) Request() (Request, []byte) {
	r := Request{Method: "PUT", Host: p.Host, Path: Path(p.Bucket, p.Key), Query: p.Query, Header: append([]Field(nil), p.Header...)}
	if p.MD5 || p.Fault == WrongMD5 {
		sum := md5.Sum(p.Fault.swap(WrongMD5, p.Body))
		r.Header = append(r.Header, Field{"Content-MD5", base64.StdEncoding.EncodeToString(sum[:])})
	}
	if p.CRC || p.Fault == WrongHeadChecksum {
		r.Header = append(r.Header, Field{crcName, crc(p.Fault.swap(WrongHeadChecksum, p.Body))})
	}
	body := p.Body
	if p.Mode.Chunked() {
		body = p.chunks(&r)
	} else {
		payload := "UNSIGNED-PAYLOAD"
		if p.Mode == Literal {
			payload = Hash(p.Fault.swap(WrongSHA256, p.Body))
		}
		r.Header = append(r.Header, Field{"Content-Length", strconv.Itoa(len(body))})
		p.Keys.Sign(&r, payload, p.Now)
	}
	return r, p.Fault.cut(body)
}

// chunks signs the head of an aws-chunked body and returns the encoded body.
func (p Put) chunks(r *Request) []byte {
	payload := map[Mode]string{
		SignedChunks:    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
		UnsignedTrailer: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
		SignedTrailer:   "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
	}[p.Mode]
	decoded := len(p.Body)
	switch p.Fault {
	case DecodedLengthLong:
		decoded++
	case DecodedLengthShort:
		decoded--
	}
	r.encode("aws-chunked")
	r.Header = append(r.Header, Field{"x-amz-decoded-content-length", strconv.Itoa(decoded)})
	if p.Mode.Trailer() {
		r.Header = append(r.Header, Field{"x-amz-trailer", p.trailer().Name})
	}
	// The encoded length does not depend on the signatures' values: encode
	// once to learn it, then with the signatures that the head seeds.
	length := len(p.encode(Seed{}))
	r.Header = append(r.Header, Field{"Content-Length", strconv.Itoa(length)})
	return p.encode(p.Keys.Sign(r, payload, p.Now))
}

// encode adds a content coding after those that the client has applied itself.
func (r *Request) encode(coding string) {
	for i, f := range r.Header {
		if strings.EqualFold(f.Name, "Content-Encoding") {
			r.Header[i].Value += "," + coding
			return
		}
	}
	r.Header = append(r.Header, Field{"Content-Encoding", coding})
}

func (p Put) encode(seed Seed) []byte {
	var b bytes.Buffer
	b.Grow(len(p.Body) + len(p.Body)/500 + 1024)
	rest, n := p.Body, 0
	for {
		data := rest[:min(len(rest), chunkSize)]
		rest = rest[len(data):]
		fmt.Fprintf(&b, "%x", len(data))
		if p.Mode.Signed() {
			sig := seed.chunk(data)
			if p.Fault == FirstChunkSignature && n == 0 || p.Fault == FinalChunkSignature && len(data) == 0 ||
				p.Fault == LastDataChunkSignature && len(data) > 0 && len(rest) == 0 {
				sig = zeroSig
			}
			b.WriteString(";chunk-signature=" + sig)
		}
		b.WriteString("\r\n")
		if len(data) == 0 {
			break
		}
		b.Write(data)
		b.WriteString("\r\n")
		n++
	}
	if p.Mode.Trailer() {
		p.writeTrailer(&b, &seed)
	}
	b.WriteString("\r\n")
	if p.Fault == ExtraBytes {
		b.WriteString("these bytes belong to nobody")
	}
	return b.Bytes()
}

// trailer is the checksum that follows the body.
func (p Put) trailer() Field {
	if p.Sum.Name != "" {
		return p.Sum
	}
	return Field{crcName, crc(p.Fault.swap(WrongTrailer, p.Body))}
}

func (p Put) writeTrailer(b *bytes.Buffer, seed *Seed) {
	if p.Fault == MissingTrailer {
		return
	}
	sum := p.trailer()
	line := sum.Name + ":" + sum.Value
	if p.Fault == MalformedTrailer {
		line = sum.Name + " no colon"
	}
	b.WriteString(line + "\r\n")
	if p.Mode.Signed() {
		sig := seed.trailer(line + "\n")
		if p.Fault == TrailerSignature {
			sig = zeroSig
		}
		b.WriteString("x-amz-trailer-signature:" + sig + "\r\n")
	}
}

// Head is the request line and the header as they travel.
func (r Request) Head() []byte {
	var b strings.Builder
	target := r.Path
	if r.Query != "" {
		target += "?" + r.Query
	}
	b.WriteString(r.Method + " " + target + " HTTP/1.1\r\nHost: " + r.Host + "\r\n")
	for _, f := range r.Header {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

func crc(b []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)))
}
