package s3

import (
	"io"
	"slices"
	"strconv"
	"strings"
)

// MaxWebsiteBytes bounds the document of a PutBucketWebsite, and maxWebsiteRules its
// routing rules.
const (
	MaxWebsiteBytes = 128 << 10
	maxWebsiteRules = 50
)

// An xmlForm says which elements may stand in one: of an element its own form, nil for one
// that holds text. Each stands at most once, but for RoutingRule.
type xmlForm map[string]xmlForm

var websiteForm = xmlForm{
	"IndexDocument":         {"Suffix": nil},
	"ErrorDocument":         {"Key": nil},
	"RedirectAllRequestsTo": {"HostName": nil, "Protocol": nil},
	"RoutingRules": {"RoutingRule": {
		"Condition": {"HttpErrorCodeReturnedEquals": nil, "KeyPrefixEquals": nil},
		"Redirect":  {"HostName": nil, "HttpRedirectCode": nil, "Protocol": nil, "ReplaceKeyPrefixWith": nil, "ReplaceKeyWith": nil},
	}},
}

// element is one that was read.
type element struct {
	name  string
	text  string
	parts []*element
}

func (e *element) all(name string) (found []*element) {
	for _, p := range e.parts {
		if p.name == name {
			found = append(found, p)
		}
	}
	return found
}

// part is the child of that name, nil when there is none; of nil, nil.
func (e *element) part(name string) *element {
	if e == nil {
		return nil
	}
	if found := e.all(name); len(found) > 0 {
		return found[0]
	}
	return nil
}

// value is the text of a child, empty when there is none.
func (e *element) value(name string) string {
	if p := e.part(name); p != nil {
		return p.text
	}
	return ""
}

// read reads the element that has begun.
func (f xmlForm) read(d *xmlReader, name string) (*element, error) {
	e := &element{name: name}
	if f == nil {
		text, err := d.text()
		e.text = strings.TrimSpace(text)
		return e, err
	}
	return e, d.children(func(name []byte) error {
		form, known := f[string(name)]
		if !known || string(name) != "RoutingRule" && e.part(string(name)) != nil {
			return errUnexpectedElement(string(name))
		}
		part, err := form.read(d, string(name))
		e.parts = append(e.parts, part)
		return err
	})
}

func (e *element) write(x *xmlWriter) {
	if len(e.parts) == 0 {
		x.text(e.name, e.text)
		return
	}
	x.open(e.name)
	for _, p := range e.parts {
		p.write(x)
	}
	x.close(e.name)
}

// ParseWebsite reads the document of a PutBucketWebsite and returns the one that
// GetBucketWebsite answers from then on. MalformedXML, InvalidArgument for a document's
// name and InvalidRequest for a protocol, a code or too many rules, in S3's words. An error
// of the reader itself is returned as it is.
func ParseWebsite(body io.Reader) (document string, err error) {
	site := &element{name: "WebsiteConfiguration"}
	err = parseDocument(body, MaxWebsiteBytes, site.name, func(d *xmlReader, name string) error {
		form, known := websiteForm[name]
		if !known || site.part(name) != nil {
			return errUnexpectedElement(name)
		}
		part, err := form.read(d, name)
		site.parts = append(site.parts, part)
		return err
	})
	if err != nil {
		return "", malformed(err)
	}
	if err := checkWebsite(site); err != nil {
		return "", err
	}
	x := newXML(512)
	x.openNamespace(site.name)
	for _, p := range site.parts {
		p.write(x)
	}
	x.close(site.name)
	return string(x.bytes()), nil
}

func checkWebsite(site *element) error {
	if all := site.part("RedirectAllRequestsTo"); all != nil {
		if len(site.parts) > 1 || all.value("HostName") == "" {
			return malformed(errUnexpectedElement("RedirectAllRequestsTo"))
		}
		return checkProtocol(all)
	}
	index, failure := site.part("IndexDocument"), site.part("ErrorDocument")
	rules := []*element{}
	if r := site.part("RoutingRules"); r != nil {
		rules = r.parts
	}
	switch suffix := index.value("Suffix"); {
	case index == nil:
		return malformed(errMissingElement("IndexDocument"))
	case suffix == "" || strings.Contains(suffix, "/"):
		return invalidArgument("IndexDocument", suffix, "The IndexDocument Suffix is not well formed")
	case failure != nil && failure.value("Key") == "":
		return invalidArgument("ErrorDocument", "", "The ErrorDocument Key is not well formed")
	case len(rules) > maxWebsiteRules:
		return Errorf(InvalidRequest, "%d routing rules provided, the number of routing rules in a website configuration is limited to %d.",
			len(rules), maxWebsiteRules)
	}
	for _, rule := range rules {
		if err := checkRedirect(rule.part("Redirect")); err != nil {
			return err
		}
		if err := checkCondition(rule.part("Condition")); err != nil {
			return err
		}
	}
	return nil
}

func checkRedirect(to *element) error {
	if to == nil || !slices.ContainsFunc(to.parts, func(p *element) bool { return p.text != "" }) {
		return malformed(errMissingElement("Redirect"))
	}
	if to.value("ReplaceKeyWith") != "" && to.value("ReplaceKeyPrefixWith") != "" {
		return Errorf(InvalidRequest, "You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
	}
	if err := checkProtocol(to); err != nil {
		return err
	}
	return checkCode(to.value("HttpRedirectCode"), func(code int) bool { return code > 300 && code < 309 && code != 306 },
		"The provided HTTP redirect code (%d) is not valid. Valid codes are 3XX except 300.")
}

func checkCondition(when *element) error {
	if when == nil {
		return nil
	}
	if !slices.ContainsFunc(when.parts, func(p *element) bool { return p.text != "" }) {
		return malformed(errMissingElement("Condition"))
	}
	return checkCode(when.value("HttpErrorCodeReturnedEquals"), func(code int) bool { return code >= 400 && code <= 417 || code >= 500 && code <= 505 },
		"The provided HTTP error code (%d) is not valid. Valid codes are 4XX or 5XX.")
}

func checkCode(text string, good func(int) bool, refusal string) error {
	if text == "" {
		return nil
	}
	code, err := strconv.Atoi(text)
	if err != nil {
		return malformed(err)
	}
	if !good(code) {
		return Errorf(InvalidRequest, refusal, code)
	}
	return nil
}

func checkProtocol(e *element) error {
	if p := e.value("Protocol"); p != "" && p != "http" && p != "https" {
		return Errorf(InvalidRequest, "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.")
	}
	return nil
}
