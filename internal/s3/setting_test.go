package s3

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

const pubXML = "<PublicAccessBlockConfiguration>"

// parsers are those of the settings of a bucket, as one: what they say.
var parsers = map[string]func([]byte) error{
	"ownership": func(b []byte) error { _, err := ParseOwnership(bytes.NewReader(b)); return err },
	"public access": func(b []byte) error {
		text, err := ParsePublicAccessBlock(bytes.NewReader(b))
		if err == nil {
			again, second := ParsePublicAccessBlock(strings.NewReader(text))
			if again != text || second != nil {
				return errors.New("the document that is kept is read as another one")
			}
		}
		return err
	},
	"website": func(b []byte) error {
		text, err := ParseWebsite(bytes.NewReader(b))
		if err == nil {
			again, second := ParseWebsite(strings.NewReader(text))
			if again != text || second != nil {
				return errors.New("the site that is kept is read as another one")
			}
		}
		return err
	},
	"cors": func(b []byte) error {
		rules, err := ParseCORS(bytes.NewReader(b))
		if err == nil {
			again, second := ParseCORS(strings.NewReader(rules.Document()))
			if second != nil || again.Document() != rules.Document() {
				return errors.New("the rules that are kept are read as other ones")
			}
		}
		return err
	},
	"tags": func(b []byte) error { _, err := ParseBucketTagging(bytes.NewReader(b)); return err },
	"acl": func(b []byte) error {
		return CheckPutACL(http.Header{}, bytes.NewReader(b), len(b) == 0, func(id string) bool { return id == "o" }, false)
	},
}

func FuzzSettings(f *testing.F) {
	for _, s := range []string{"", "<a/>", OwnershipDocument("ObjectWriter"), pubXML + "<BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>",
		"<CORSConfiguration><CORSRule><ID>i</ID><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><MaxAgeSeconds>5</MaxAgeSeconds></CORSRule></CORSConfiguration>",
		string(ACLDocument(Owner{"o", "O"})), "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>",
		"<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument><RoutingRules><RoutingRule><Condition><KeyPrefixEquals>a</KeyPrefixEquals></Condition><Redirect><HostName>h</HostName></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>",
		"<OwnershipControls><Rule><ObjectOwnership><x/></ObjectOwnership></Rule></OwnershipControls>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for name, parse := range parsers {
			err := parse(body)
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Code.Status()/100 != 4) {
				t.Errorf("%s: %q: %v", name, body, err)
			}
		}
	})
}

// TestSettingsAreTaken: what we show is what we take.
func TestSettingsAreTaken(t *testing.T) {
	if err := parsers["acl"](ACLDocument(Owner{"o", "O"})); err != nil {
		t.Error(err)
	}
	for _, v := range ownerships {
		if got, err := ParseOwnership(strings.NewReader(OwnershipDocument(v))); got != v || err != nil {
			t.Errorf("%s: %q, %v", v, got, err)
		}
	}
	for _, name := range []string{"acl", "ownership", "public access"} {
		for _, body := range []string{"<a/>", "x", "<a>", pubXML + "<BlockPublicAcls/></PublicAccessBlockConfiguration>", pubXML + "<Other>true</Other></PublicAccessBlockConfiguration>"} {
			if err := parsers[name]([]byte(body)); codeOf(err) != MalformedXML && codeOf(err) != MalformedACL {
				t.Errorf("%s of %q: %v", name, body, err)
			}
		}
	}
}

// A connection that fails under a parser is not the client's bad XML.
func TestSettingsKeepReadErrors(t *testing.T) {
	lost := errors.New("connection lost")
	broken := func() *failing { return &failing{r: iotest.OneByteReader(strings.NewReader("<")), err: lost} }
	_, one := ParseOwnership(broken())
	_, two := ParsePublicAccessBlock(broken())
	three := CheckPutACL(http.Header{}, broken(), false, func(string) bool { return true }, false)
	_, four := ParseCORS(broken())
	for _, err := range []error{one, two, three, four} {
		if !errors.Is(err, lost) {
			t.Error(err)
		}
	}
}

func TestDefaultConfigurations(t *testing.T) {
	for name := range implemented {
		document, err := DefaultConfiguration(name)
		code, isAbsent := absences[name]
		_, isDefault := defaults[name]
		switch {
		case isAbsent && (codeOf(err) != code || code.Status() != 404),
			isDefault && (err != nil || !bytes.Contains(document, []byte(`xmlns="`+Namespace+`"`))),
			!isAbsent && !isDefault && codeOf(err) != NotImplemented:
			t.Errorf("%s: %q, %v", name, document, err)
		}
	}
	if n := len(absences) + len(defaults); n != 9 {
		t.Errorf("%d answers", n)
	}
}

func TestPublicAccessBlocks(t *testing.T) {
	kept, err := ParsePublicAccessBlock(strings.NewReader(pubXML + "<RestrictPublicBuckets> TRUE </RestrictPublicBuckets></PublicAccessBlockConfiguration>"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{RestrictPublicBuckets: true, BlockPublicPolicy: false} {
		if got := PublicAccessBlocks(kept, name); got != want {
			t.Errorf("%s is %v in %s", name, got, kept)
		}
		if PublicAccessBlocks("", name) {
			t.Errorf("%s is on without a document", name)
		}
	}
}
