package s3

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/s3mirror/s3mirror/internal/object"
)

// The attributes that a GetObjectAttributes can ask for.
const (
	AttributeETag         = "ETag"
	AttributeChecksum     = "Checksum"
	AttributeObjectParts  = "ObjectParts"
	AttributeStorageClass = "StorageClass"
	AttributeObjectSize   = "ObjectSize"
)

var attributes = []string{AttributeETag, AttributeChecksum, AttributeObjectParts, AttributeStorageClass, AttributeObjectSize}

// AttributesRequest is what a GetObjectAttributes asks for.
type AttributesRequest struct {
	Wanted []string // of the attributes above, each once

	MaxParts int // 0 to 1000
	After    int // only parts of higher numbers
}

// ParseAttributes reads x-amz-object-attributes and the paging of parts. No
// attribute is InvalidRequest, an unknown one InvalidArgument.
func ParseAttributes(h http.Header) (*AttributesRequest, error) {
	const name = "x-amz-object-attributes"
	a := &AttributesRequest{}
	for _, value := range h.Values(name) {
		for one := range strings.SplitSeq(value, ",") {
			switch one = strings.TrimSpace(one); {
			case one == "" || slices.Contains(a.Wanted, one):
			case !slices.Contains(attributes, one):
				return nil, invalidArgument(name, value, "Invalid attribute name specified.")
			default:
				a.Wanted = append(a.Wanted, one)
			}
		}
	}
	if len(a.Wanted) == 0 {
		return nil, Errorf(InvalidRequest, "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	var err error
	paging := Query{{"x-amz-max-parts", h.Get("x-amz-max-parts")}}
	if a.MaxParts, err = parseLimit(paging, "x-amz-max-parts"); err != nil {
		return nil, err
	}
	if a.After, err = parseMarker("x-amz-part-number-marker", h.Get("x-amz-part-number-marker")); err != nil {
		return nil, err
	}
	return a, nil
}

// Document is the answer for a version: GetObjectAttributesResponse. checksums
// are those of its parts, in their order, and may be nil: parts without
// checksums are told with their sizes, as MinIO and Ceph do, where AWS counts them only.
func (a *AttributesRequest) Document(info object.Info, checksums []string) []byte {
	x := newXML(512)
	x.openNamespace("GetObjectAttributesResponse")
	for _, wanted := range attributes { // in the order of S3
		if !slices.Contains(a.Wanted, wanted) {
			continue
		}
		switch wanted {
		case AttributeETag:
			x.text("ETag", info.ETag) // without quotes, here alone
		case AttributeChecksum:
			x.attributeChecksum(info.Headers)
		case AttributeObjectParts:
			if len(info.Parts) > 0 {
				a.parts(x, info, checksums)
			}
		case AttributeStorageClass:
			class := info.Headers["x-amz-storage-class"]
			if class == "" {
				class = "STANDARD"
			}
			x.text("StorageClass", class)
		case AttributeObjectSize:
			x.int("ObjectSize", info.Size)
		}
	}
	x.close("GetObjectAttributesResponse")
	return x.bytes()
}

func (x *xmlWriter) attributeChecksum(stored object.Headers) {
	if algorithm, _ := storedChecksum(stored); algorithm == "" {
		return
	}
	x.open("Checksum")
	x.checksums(stored, true)
	x.close("Checksum")
}

// storedChecksum returns a checksum of a version; S3 keeps at most one.
func storedChecksum(stored object.Headers) (algorithm, value string) {
	for _, a := range slices.Sorted(maps.Keys(algorithms)) {
		if v := stored[checksumPrefix+a]; v != "" {
			return a, v
		}
	}
	return "", ""
}

func (a *AttributesRequest) parts(x *xmlWriter, info object.Info, checksums []string) {
	algorithm, _ := storedChecksum(info.Headers)
	summed := len(checksums) == len(info.Parts) && algorithm != ""
	last := min(a.After+a.MaxParts, len(info.Parts))
	x.open("ObjectParts")
	x.int("PartsCount", int64(len(info.Parts)))
	x.int("PartNumberMarker", int64(a.After))
	x.int("NextPartNumberMarker", int64(last))
	x.int("MaxParts", int64(a.MaxParts))
	x.bool("IsTruncated", last < len(info.Parts))
	for i := min(a.After, last); i < last; i++ {
		x.open("Part")
		x.int("PartNumber", int64(i+1))
		x.int("Size", info.Parts[i])
		if summed {
			x.text(checksumElement(algorithm), checksums[i])
		}
		x.close("Part")
	}
	x.close("ObjectParts")
}

// Attributes is what a backend says of an object.
type Attributes struct {
	ETag      string // without quotes
	Size      int64  // bytes; negative: it does not say
	Checksums object.Headers
	PartCount int    // zero: it does not say, or has none
	Parts     []Part // number, size and checksum of those in this page
	Truncated bool
}

// DecodeAttributes reads the GetObjectAttributesResponse of a backend. An
// Error document, which may come with status 200, is returned as an *Error.
func DecodeAttributes(r io.Reader) (*Attributes, error) {
	d := newXMLReader(r, maxListBytes)
	a := &Attributes{Size: -1, Checksums: object.Headers{}}
	err := d.result("GetObjectAttributesResponse", func(name []byte) (err error) {
		switch string(name) {
		case "ETag":
			a.ETag, err = d.text()
			a.ETag = UnquoteETag(a.ETag)
		case "ObjectSize":
			var s string
			if s, err = d.text(); err == nil {
				a.Size, err = strconv.ParseInt(strings.TrimSpace(s), 10, 64)
			}
		case "Checksum":
			err = d.children(func(name []byte) error { return d.checksum(name, a.Checksums) })
		case "ObjectParts":
			err = d.children(func(name []byte) error { return d.objectParts(name, a) })
		default:
			err = d.skip()
		}
		return err
	})
	if err != nil {
		return nil, answerError("attributes", err)
	}
	return a, nil
}

func (x *xmlReader) objectParts(name []byte, a *Attributes) (err error) {
	switch string(name) {
	case "PartsCount", "TotalPartsCount": // some servers send the SDK's name
		a.PartCount, err = x.number()
	case "IsTruncated":
		a.Truncated, err = x.truth()
	case "Part":
		var p Part
		p, err = x.part()
		a.Parts = append(a.Parts, p)
	default:
		err = x.skip()
	}
	return err
}
