package s3

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
)

func buckets(t *testing.T, query string) (*BucketsRequest, error) {
	t.Helper()
	op, err := Parse(request("GET", "/?"+query, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	return ParseListBuckets(op, testKey)
}

func TestParseListBuckets(t *testing.T) {
	token := testKey.SealToken(TokenScope{Prefix: "p"}, "photos")
	for query, want := range map[string]BucketsRequest{
		"":                               {MaxBuckets: 10000},
		"max-buckets=1&bucket-region=eu": {MaxBuckets: 1, Region: "eu"},
		"prefix=p&max-buckets=10000&continuation-token=" + token: {MaxBuckets: 10000, Prefix: "p", After: "photos"},
	} {
		if got, err := buckets(t, query); err != nil || *got != want {
			t.Errorf("%s: %+v, %v", query, got, err)
		}
	}
	for _, query := range []string{"max-buckets=0", "max-buckets=10001", "max-buckets=", "max-buckets=x",
		"continuation-token=", "continuation-token=" + token} {
		if _, err := buckets(t, query); codeOf(err) != InvalidArgument {
			t.Errorf("%s: %v", query, err)
		}
	}
	// A token of an object list opens no list of buckets.
	objects := testKey.SealToken(TokenScope{Bucket: "photos"}, "k")
	if _, err := buckets(t, "continuation-token="+objects); codeOf(err) != InvalidArgument {
		t.Errorf("%v", err)
	}
}

func TestBucketDocuments(t *testing.T) {
	page := &BucketsPage{
		Buckets:   []BucketEntry{{"photos", listTime, "eu-1"}, {"videos", listTime, ""}},
		Owner:     Owner{"1f", "root"},
		Truncated: true,
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n\n", (&BucketsRequest{}).Document(&BucketsPage{Owner: page.Owner, Truncated: true}, testKey))
	fmt.Fprintf(&out, "%s\n\n", (&BucketsRequest{Prefix: "p"}).Document(page, testKey))
	fmt.Fprintf(&out, "%s\n\n%s\n", LocationDocument("us-east-1"), LocationDocument("eu-1"))
	golden(t, "buckets.txt", out.Bytes())
}

func TestParseCreateBucket(t *testing.T) {
	const ns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	deep := strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000)
	for name, c := range map[string]struct {
		body, want string
		code       Code
	}{
		"no body":           {"", "", ""},
		"blanks":            {" \n", "", ""},
		"empty":             {"<CreateBucketConfiguration/>", "", ""},
		"location":          {"<?xml version=\"1.0\"?>\n<CreateBucketConfiguration" + ns + ">\n <LocationConstraint> eu-1 </LocationConstraint>\n</CreateBucketConfiguration>\n", "eu-1", ""},
		"no namespace":      {"<CreateBucketConfiguration><LocationConstraint>eu-1</LocationConstraint></CreateBucketConfiguration>", "eu-1", ""},
		"comment":           {"<CreateBucketConfiguration><!-- x --></CreateBucketConfiguration>", "", ""},
		"another root":      {"<Delete/>", "", MalformedXML},
		"text":              {"hello", "", MalformedXML},
		"text inside":       {"<CreateBucketConfiguration>x</CreateBucketConfiguration>", "", MalformedXML},
		"unknown":           {"<CreateBucketConfiguration><X/></CreateBucketConfiguration>", "", MalformedXML},
		"tags":              {"<CreateBucketConfiguration><LocationConstraint>eu-1</LocationConstraint><Tags><Tag><Key>k</Key><Value>v</Value></Tag></Tags></CreateBucketConfiguration>", "eu-1", ""},
		"no tags":           {"<CreateBucketConfiguration><Tags/></CreateBucketConfiguration>", "", ""},
		"tag without a key": {"<CreateBucketConfiguration><Tags><Tag><Value>v</Value></Tag></Tags></CreateBucketConfiguration>", "", MalformedXML},
		"tag of AWS":        {"<CreateBucketConfiguration><Tags><Tag><Key>aws:x</Key></Tag></Tags></CreateBucketConfiguration>", "", InvalidTag},
		"something in tags": {"<CreateBucketConfiguration><Tags><X/></Tags></CreateBucketConfiguration>", "", MalformedXML},
		"directory bucket":  {"<CreateBucketConfiguration><Location><Name>x</Name></Location></CreateBucketConfiguration>", "", NotImplemented},
		"nested":            {"<CreateBucketConfiguration><LocationConstraint><b>x</b></LocationConstraint></CreateBucketConfiguration>", "", MalformedXML},
		"comment within":    {"<CreateBucketConfiguration><LocationConstraint>eu<!-- x -->-<![CDATA[1]]></LocationConstraint></CreateBucketConfiguration>", "eu-1", ""},
		"cut":               {"<CreateBucketConfiguration><LocationConstraint>eu", "", MalformedXML},
		"cut root":          {"<CreateBucketConfiguration>", "", MalformedXML},
		"trailing":          {"<CreateBucketConfiguration/><x/>", "", MalformedXML},
		"trailing text":     {"<CreateBucketConfiguration/>x", "", MalformedXML},
		"trailing junk":     {"<CreateBucketConfiguration/><", "", MalformedXML},
		"mismatch":          {"<CreateBucketConfiguration></x>", "", MalformedXML},
		"doctype":           {"<!DOCTYPE x [<!ENTITY a \"b\">]><CreateBucketConfiguration/>", "", MalformedXML},
		"entity":            {"<CreateBucketConfiguration><LocationConstraint>&a;</LocationConstraint></CreateBucketConfiguration>", "", MalformedXML},
		"charset":           {"<?xml version=\"1.0\" encoding=\"UTF-16\"?><CreateBucketConfiguration/>", "", MalformedXML},
		"deep":              {deep, "", MalformedXML},
		"deep inside":       {"<CreateBucketConfiguration><LocationConstraint>" + deep + "</LocationConstraint></CreateBucketConfiguration>", "", MalformedXML},
		"long":              {"<CreateBucketConfiguration>" + strings.Repeat(" ", maxConfigurationBytes) + "</CreateBucketConfiguration>", "", MalformedXML},
		"long before":       {strings.Repeat(" ", maxConfigurationBytes+1), "", MalformedXML},
		"as long as it may": {"<CreateBucketConfiguration/>" + strings.Repeat(" ", maxConfigurationBytes-len("<CreateBucketConfiguration/>")), "", ""},
	} {
		got := &BucketConfiguration{}
		made, err := ParseCreateBucket(strings.NewReader(c.body))
		if err == nil {
			got = made
		}
		if got.Location != c.want || codeOf(err) != c.code {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// A connection that fails under the parser is not the client's bad XML.
func TestParseCreateBucketKeepsReadErrors(t *testing.T) {
	lost := errors.New("connection lost")
	for _, body := range []string{"", "<CreateBucketConfiguration>", "<CreateBucketConfiguration/>"} {
		r := iotest.DataErrReader(iotest.OneByteReader(strings.NewReader(body)))
		_, err := ParseCreateBucket(&failing{r: r, err: lost})
		if !errors.Is(err, lost) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func FuzzParseCreateBucket(f *testing.F) {
	f.Add([]byte("<CreateBucketConfiguration><LocationConstraint>eu-1</LocationConstraint></CreateBucketConfiguration>"))
	f.Add([]byte("<!DOCTYPE a><a/>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		switch _, err := ParseCreateBucket(bytes.NewReader(body)); codeOf(err) {
		case "", MalformedXML, NotImplemented:
		default:
			t.Fatalf("%q: %v", body, err)
		}
	})
}
