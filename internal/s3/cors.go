package s3

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxCORSBytes bounds a CORS configuration, as AWS does.
	maxCORSBytes = 64 << 10
	// maxCORSRules is how many rules it may have.
	maxCORSRules = 100
)

// CORS says which pages of which origins browsers may let at a bucket.
type CORS struct{ Rules []CORSRule }

// CORSRule lets requests of some origins with some methods and headers through.
// In an origin and in a header one "*" stands for any text.
type CORSRule struct {
	ID                                string
	Origins, Methods, Headers, Expose []string
	MaxAge                            *int // seconds that a browser may keep the answer; nil: its own default
}

// corsMethods are the methods that a rule can name.
var corsMethods = []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete}

// ParseCORS reads and checks the document of a PutBucketCors. MalformedXML for
// what is none or has no rule, InvalidRequest for a method, origin or header that
// cannot be. An error of the reader itself is returned as it is.
func ParseCORS(body io.Reader) (*CORS, error) {
	c := &CORS{}
	err := parseDocument(body, maxCORSBytes, "CORSConfiguration", func(d *xmlReader, name string) error {
		if name != "CORSRule" || len(c.Rules) == maxCORSRules {
			return errUnexpectedElement(name)
		}
		rule, err := d.corsRule()
		c.Rules = append(c.Rules, rule)
		return err
	})
	switch {
	case err != nil:
		return nil, malformed(err)
	case len(c.Rules) == 0:
		return nil, malformed(errMissingElement("CORSRule"))
	}
	for _, rule := range c.Rules {
		if err := rule.check(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (x *xmlReader) corsRule() (rule CORSRule, err error) {
	err = x.children(func(name []byte) error {
		element := string(name)
		text, err := x.text()
		if err != nil {
			return err
		}
		switch element {
		case "ID":
			rule.ID = text
		case "AllowedOrigin":
			rule.Origins = append(rule.Origins, text)
		case "AllowedMethod":
			rule.Methods = append(rule.Methods, text)
		case "AllowedHeader":
			rule.Headers = append(rule.Headers, text)
		case "ExposeHeader":
			rule.Expose = append(rule.Expose, text)
		case "MaxAgeSeconds":
			n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
			if err != nil {
				return err
			}
			seconds := int(n)
			rule.MaxAge = &seconds
		default:
			return errUnexpectedElement(element)
		}
		return nil
	})
	return rule, err
}

func (r *CORSRule) check() error {
	if len(r.Origins) == 0 || len(r.Methods) == 0 {
		return malformed(errMissingElement("AllowedOrigin and one AllowedMethod"))
	}
	for _, origin := range r.Origins {
		if strings.Count(origin, "*") > 1 {
			return Errorf(InvalidRequest, "AllowedOrigin \"%s\" can not have more than one wildcard.", origin)
		}
	}
	for _, method := range r.Methods {
		if !slices.Contains(corsMethods, method) {
			return Errorf(InvalidRequest, "Found unsupported HTTP method in CORS config. Unsupported method is %s", method)
		}
	}
	for _, name := range slices.Concat(r.Headers, r.Expose) {
		if name != "" && !headerName(name) {
			return Errorf(InvalidRequest, "AllowedHeader \"%s\" contains invalid character.", name)
		}
	}
	return nil
}

// Document is the answer to GetBucketCors, which ParseCORS reads again.
func (c *CORS) Document() string {
	x := newXML(512)
	x.openNamespace("CORSConfiguration")
	for _, rule := range c.Rules {
		x.open("CORSRule")
		if rule.ID != "" {
			x.text("ID", rule.ID)
		}
		for _, list := range []struct {
			name   string
			values []string
		}{{"AllowedHeader", rule.Headers}, {"AllowedMethod", rule.Methods}, {"AllowedOrigin", rule.Origins}, {"ExposeHeader", rule.Expose}} {
			for _, value := range list.values {
				x.text(list.name, value)
			}
		}
		if rule.MaxAge != nil {
			x.int("MaxAgeSeconds", int64(*rule.MaxAge))
		}
		x.close("CORSRule")
	}
	x.close("CORSConfiguration")
	return string(x.bytes())
}

// CORSRequest is what a browser asks of a page's behalf.
type CORSRequest struct {
	Origin  string
	Method  string   // of the request that is, or is to be, sent
	Headers []string // that it is going to send
}

// ParseCORSRequest reads it from a request: a preflight, or any other that has
// an Origin. BadRequest for a preflight without one, and for a method or a header
// that cannot be. Nil without an Origin.
func ParseCORSRequest(r *http.Request) (*CORSRequest, error) {
	preflight := r.Method == http.MethodOptions
	ask := &CORSRequest{Origin: r.Header.Get("Origin"), Method: r.Header.Get("Access-Control-Request-Method")}
	if ask.Origin == "" {
		if preflight {
			return nil, Errorf(BadRequest, "Insufficient information. Origin request header needed.")
		}
		return nil, nil
	}
	if ask.Method == "" && !preflight {
		ask.Method = r.Method
	}
	if !slices.Contains(corsMethods, ask.Method) {
		return nil, Errorf(BadRequest, "Invalid Access-Control-Request-Method: %s", ask.Method)
	}
	wanted := r.Header.Get("Access-Control-Request-Headers")
	if wanted == "" {
		return ask, nil
	}
	for raw := range strings.SplitSeq(wanted, ",") {
		name := strings.TrimSpace(raw)
		if name == "" || !headerName(name) {
			return nil, Errorf(BadRequest, "Access-Control-Request-Headers \"%s\" contains invalid character.", raw)
		}
		ask.Headers = append(ask.Headers, strings.ToLower(name))
	}
	return ask, nil
}

// SetHeaders sets what tells a browser that the first rule which matches lets
// the request through; false: none does.
func (c *CORS) SetHeaders(h http.Header, ask *CORSRequest) bool {
	for i := range c.Rules {
		rule := &c.Rules[i]
		if anyone, ok := rule.matches(ask); ok {
			rule.setHeaders(h, ask, anyone)
			return true
		}
	}
	return false
}

// corsVary is what an answer depends on beside the address.
const corsVary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

func (r *CORSRule) setHeaders(h http.Header, ask *CORSRequest, anyone bool) {
	origin := ask.Origin
	if anyone { // whose credentials browsers keep to themselves
		origin = "*"
	}
	expose := slices.Clone(r.Expose)
	if !containsFold(expose, "ETag") { // without which no multipart upload of a page ends
		expose = append(expose, "ETag")
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", strconv.FormatBool(!anyone))
	h.Set("Access-Control-Allow-Methods", strings.Join(r.Methods, ", "))
	h.Set("Access-Control-Expose-Headers", strings.Join(expose, ", "))
	if len(ask.Headers) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(ask.Headers, ", "))
	}
	if r.MaxAge != nil {
		h.Set("Access-Control-Max-Age", strconv.Itoa(*r.MaxAge))
	}
	h.Set("Vary", corsVary)
}

// matches tells whether the rule lets the request through, and whether it does so
// for anyone.
func (r *CORSRule) matches(ask *CORSRequest) (anyone, ok bool) {
	i := slices.IndexFunc(r.Origins, func(pattern string) bool { return matchesOne(pattern, ask.Origin) })
	if i < 0 || !slices.Contains(r.Methods, ask.Method) {
		return false, false
	}
	for _, name := range ask.Headers {
		if !slices.ContainsFunc(r.Headers, func(pattern string) bool { return matchesOne(strings.ToLower(pattern), name) }) {
			return false, false
		}
	}
	return r.Origins[i] == "*", true
}

// matchesOne compares with a pattern in which the first "*" stands for any text.
func matchesOne(pattern, s string) bool {
	before, behind, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	return len(s) >= len(before)+len(behind) && strings.HasPrefix(s, before) && strings.HasSuffix(s, behind)
}
