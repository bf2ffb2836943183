package s3

import (
	"strings"
	"testing"
)

func TestParseWebsite(t *testing.T) {
	site := func(inner string) string { return "<WebsiteConfiguration>" + inner + "</WebsiteConfiguration>" }
	const index = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>"
	rule := func(inner string) string {
		return site(index + "<RoutingRules><RoutingRule>" + inner + "</RoutingRule></RoutingRules>")
	}
	const to = "<Redirect><HostName>h</HostName></Redirect>"
	for name, c := range map[string]struct {
		document string
		want     Code
	}{
		"an index":                   {site(index), ""},
		"index and error":            {site(index + "<ErrorDocument><Key>e.html</Key></ErrorDocument>"), ""},
		"redirect of all":            {site("<RedirectAllRequestsTo><HostName>h</HostName><Protocol>https</Protocol></RedirectAllRequestsTo>"), ""},
		"a rule":                     {rule("<Condition><KeyPrefixEquals>a/</KeyPrefixEquals></Condition><Redirect><HttpRedirectCode>301</HttpRedirectCode></Redirect>"), ""},
		"a rule without condition":   {rule(to), ""},
		"nothing":                    {"", MalformedXML},
		"another root":               {"<Website/>", MalformedXML},
		"an empty site":              {site(""), MalformedXML},
		"an unknown element":         {site(index + "<Sitemap/>"), MalformedXML},
		"two indexes":                {site(index + index), MalformedXML},
		"an index without suffix":    {site("<IndexDocument/>"), InvalidArgument},
		"an empty suffix":            {site("<IndexDocument><Suffix></Suffix></IndexDocument>"), InvalidArgument},
		"a suffix with a slash":      {site("<IndexDocument><Suffix>a/b</Suffix></IndexDocument>"), InvalidArgument},
		"an empty error document":    {site(index + "<ErrorDocument><Key></Key></ErrorDocument>"), InvalidArgument},
		"redirect of all, and more":  {site(index + "<RedirectAllRequestsTo><HostName>h</HostName></RedirectAllRequestsTo>"), MalformedXML},
		"redirect of all to nowhere": {site("<RedirectAllRequestsTo><Protocol>http</Protocol></RedirectAllRequestsTo>"), MalformedXML},
		"redirect of all by gopher":  {site("<RedirectAllRequestsTo><HostName>h</HostName><Protocol>gopher</Protocol></RedirectAllRequestsTo>"), InvalidRequest},
		"a rule by gopher":           {rule("<Redirect><HostName>h</HostName><Protocol>gopher</Protocol></Redirect>"), InvalidRequest},
		"a rule without redirect":    {rule("<Condition><KeyPrefixEquals>a/</KeyPrefixEquals></Condition>"), MalformedXML},
		"an empty redirect":          {rule("<Redirect></Redirect>"), MalformedXML},
		"an empty condition":         {rule("<Condition></Condition>" + to), MalformedXML},
		"two replacements":           {rule("<Redirect><ReplaceKeyWith>a</ReplaceKeyWith><ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith></Redirect>"), InvalidRequest},
		"redirect code 300":          {rule("<Redirect><HttpRedirectCode>300</HttpRedirectCode></Redirect>"), InvalidRequest},
		"redirect code of letters":   {rule("<Redirect><HttpRedirectCode>x</HttpRedirectCode></Redirect>"), MalformedXML},
		"error code 399":             {rule("<Condition><HttpErrorCodeReturnedEquals>399</HttpErrorCodeReturnedEquals></Condition>" + to), InvalidRequest},
		"fifty-one rules":            {site(index + "<RoutingRules>" + strings.Repeat("<RoutingRule>"+to+"</RoutingRule>", 51) + "</RoutingRules>"), InvalidRequest},
	} {
		got, err := ParseWebsite(strings.NewReader(c.document))
		if codeOf(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil {
			continue
		}
		again, err := ParseWebsite(strings.NewReader(got))
		if err != nil || again != got {
			t.Errorf("%s: the answer %s reads as %s, %v", name, got, again, err)
		}
	}
}
