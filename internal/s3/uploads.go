package s3

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// UploadsRequest is what a ListMultipartUploads asks for.
type UploadsRequest struct {
	Bucket    string
	Prefix    string
	Delimiter string // empty: no common prefixes
	Max       int    // 0 to 1000
	URL       bool

	// AfterKey and AfterID are where the page begins, exclusively: at the first
	// upload behind AfterID among those of AfterKey, or, when AfterID is empty,
	// at the first key behind AfterKey.
	AfterKey, AfterID string
}

// ParseListUploads reads and checks the parameters. As on S3, an
// upload-id-marker counts only beside a key-marker. InvalidArgument.
func ParseListUploads(op *Operation) (*UploadsRequest, error) {
	q := op.Query
	u := &UploadsRequest{Bucket: op.Bucket, Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), AfterKey: q.Get("key-marker")}
	if u.AfterKey != "" {
		u.AfterID = q.Get("upload-id-marker")
	}
	var err error
	if u.URL, err = parseEncoding(q); err != nil {
		return nil, err
	}
	u.Max, err = parseLimit(q, "max-uploads")
	return u, err
}

// CommonPrefix is ListRequest.CommonPrefix for the key of an upload.
func (u *UploadsRequest) CommonPrefix(key string) (prefix string, ok bool) {
	return (&ListRequest{Prefix: u.Prefix, Delimiter: u.Delimiter}).CommonPrefix(key)
}

// Upload is one upload that is under way.
type Upload struct {
	Key, ID   string
	Initiated time.Time
	Checksum  UploadChecksum
}

// UploadsPage is one page of uploads, by key and then by the time of their
// start, and of common prefixes, which count together towards Max.
type UploadsPage struct {
	Uploads        []Upload
	CommonPrefixes []string
	Truncated      bool
	// LastKey and LastID are the greatest entry of the page, needed when it is
	// truncated; of a common prefix there is no id.
	LastKey, LastID string
	Owner           Owner
}

// Document is the answer: ListMultipartUploadsResult.
func (u *UploadsRequest) Document(page *UploadsPage) []byte {
	x := newXML(512 + 384*len(page.Uploads) + 96*len(page.CommonPrefixes))
	x.openNamespace("ListMultipartUploadsResult")
	x.text("Bucket", u.Bucket)
	x.name("KeyMarker", u.AfterKey, u.URL)
	x.text("UploadIdMarker", u.AfterID)
	if page.Truncated {
		x.name("NextKeyMarker", page.LastKey, u.URL)
		x.text("NextUploadIdMarker", page.LastID)
	}
	x.name("Prefix", u.Prefix, u.URL)
	if u.Delimiter != "" {
		x.name("Delimiter", u.Delimiter, u.URL)
	}
	x.int("MaxUploads", int64(u.Max))
	if u.URL {
		x.text("EncodingType", "url")
	}
	x.bool("IsTruncated", page.Truncated)
	for i := range page.Uploads {
		x.upload(&page.Uploads[i], page.Owner, u.URL)
	}
	for _, p := range page.CommonPrefixes {
		x.open("CommonPrefixes")
		x.name("Prefix", p, u.URL)
		x.close("CommonPrefixes")
	}
	x.close("ListMultipartUploadsResult")
	return x.bytes()
}

func (x *xmlWriter) upload(u *Upload, owner Owner, url bool) {
	x.open("Upload")
	x.name("Key", u.Key, url)
	x.text("UploadId", u.ID)
	x.initiator(owner)
	x.owner(owner)
	x.text("StorageClass", "STANDARD")
	x.time("Initiated", u.Initiated)
	x.uploadChecksum(u.Checksum)
	x.close("Upload")
}

// UploadsListing is one page of uploads as a backend sent it: keys decoded, in
// the order sent.
type UploadsListing struct {
	Uploads         []Upload
	CommonPrefixes  []string
	Truncated       bool
	NextKey, NextID string
}

// DecodeUploads reads the ListMultipartUploadsResult of a backend, in the way
// of DecodeListing.
func DecodeUploads(r io.Reader) (*UploadsListing, error) {
	d := newXMLReader(r, maxListBytes)
	l := &UploadsListing{}
	encoding := ""
	err := d.result("ListMultipartUploadsResult", func(name []byte) error { return d.uploadsListing(name, l, &encoding) })
	if err == nil && strings.EqualFold(encoding, "url") {
		err = l.decode()
	}
	if err != nil {
		return nil, answerError("uploads", err)
	}
	return l, nil
}

func (x *xmlReader) uploadsListing(name []byte, l *UploadsListing, encoding *string) (err error) {
	switch string(name) {
	case "Upload":
		var u Upload
		u, err = x.upload()
		l.Uploads = append(l.Uploads, u)
	case "CommonPrefixes":
		err = x.commonPrefixes(&l.CommonPrefixes)
	case "IsTruncated":
		l.Truncated, err = x.truth()
	case "NextKeyMarker":
		l.NextKey, err = x.text()
	case "NextUploadIdMarker":
		l.NextID, err = x.text()
	case "EncodingType":
		*encoding, err = x.text()
	default:
		err = x.skip()
	}
	return err
}

func (x *xmlReader) upload() (u Upload, err error) {
	err = x.children(func(name []byte) (err error) {
		switch string(name) {
		case "Key":
			u.Key, err = x.text()
		case "UploadId":
			u.ID, err = x.text()
		case "Initiated":
			u.Initiated, err = x.moment()
		case "ChecksumAlgorithm":
			u.Checksum.Algorithm, err = x.text()
			u.Checksum.Algorithm = strings.ToLower(u.Checksum.Algorithm)
		case "ChecksumType":
			var s string
			s, err = x.text()
			u.Checksum.Type = ChecksumType(s)
		default:
			err = x.skip()
		}
		return err
	})
	if err == nil && (u.Key == "" || u.ID == "") {
		err = fmt.Errorf("upload without key or id")
	}
	return u, err
}

// commonPrefixes reads one element CommonPrefixes.
func (x *xmlReader) commonPrefixes(all *[]string) error {
	return x.children(func(name []byte) error {
		if string(name) != "Prefix" {
			return x.skip()
		}
		p, err := x.text()
		*all = append(*all, p)
		return err
	})
}

func (l *UploadsListing) decode() (err error) {
	names := []*string{&l.NextKey}
	for i := range l.Uploads {
		names = append(names, &l.Uploads[i].Key)
	}
	for i := range l.CommonPrefixes {
		names = append(names, &l.CommonPrefixes[i])
	}
	for _, name := range names {
		if *name, err = DecodeQuery(*name); err != nil {
			return err
		}
	}
	return nil
}
