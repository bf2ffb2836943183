package s3

// NullVersion names the version of an object in a bucket that was never
// versioned, which is what every bucket is here.
const NullVersion = "null"

// VersionsRequest is what a ListObjectVersions asks for. Every object has
// exactly one version here, so it is a list of objects in another form.
type VersionsRequest struct {
	ListRequest
	KeyMarker, VersionMarker string
}

// ParseListVersions reads and checks the parameters. InvalidArgument.
func ParseListVersions(op *Operation) (*VersionsRequest, error) {
	q := op.Query
	v := &VersionsRequest{
		ListRequest:   ListRequest{Bucket: op.Bucket, Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), FetchOwner: true},
		KeyMarker:     q.Get("key-marker"),
		VersionMarker: q.Get("version-id-marker"),
	}
	var err error
	if v.URL, err = parseEncoding(q); err != nil {
		return nil, err
	}
	if v.MaxKeys, err = parseMaxKeys(q.Get("max-keys")); err != nil {
		return nil, err
	}
	switch {
	case v.VersionMarker == "":
	case v.KeyMarker == "":
		return nil, invalidArgument("version-id-marker", v.VersionMarker, "A version-id marker cannot be specified without a key marker.")
	case v.VersionMarker != NullVersion:
		return nil, invalidArgument("version-id-marker", v.VersionMarker, "Invalid version id specified")
	}
	v.After = v.KeyMarker // and so behind its one version
	return v, nil
}

// Document is the answer: ListVersionsResult.
func (v *VersionsRequest) Document(page *ListPage) []byte {
	x := newXML(512 + 384*len(page.Objects) + 96*len(page.CommonPrefixes))
	x.openNamespace("ListVersionsResult")
	x.text("Name", v.Bucket)
	v.name(x, "Prefix", v.Prefix)
	v.name(x, "KeyMarker", v.KeyMarker)
	x.text("VersionIdMarker", v.VersionMarker)
	if page.Truncated {
		v.name(x, "NextKeyMarker", page.Last)
		if n := len(page.Objects); n > 0 && page.Objects[n-1].Key == page.Last {
			x.text("NextVersionIdMarker", NullVersion)
		}
	}
	x.int("MaxKeys", int64(v.MaxKeys))
	if v.Delimiter != "" {
		v.name(x, "Delimiter", v.Delimiter)
	}
	if v.URL {
		x.text("EncodingType", "url")
	}
	x.bool("IsTruncated", page.Truncated)
	for i := range page.Objects {
		v.version(x, &page.Objects[i], page.Owner)
	}
	for _, p := range page.CommonPrefixes {
		x.open("CommonPrefixes")
		v.name(x, "Prefix", p)
		x.close("CommonPrefixes")
	}
	x.close("ListVersionsResult")
	return x.bytes()
}

func (v *VersionsRequest) version(x *xmlWriter, o *ListEntry, owner Owner) {
	x.open("Version")
	v.name(x, "Key", o.Key)
	x.text("VersionId", NullVersion)
	x.bool("IsLatest", true)
	v.describe(x, o, &owner)
	x.close("Version")
}
