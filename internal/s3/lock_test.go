package s3

import "testing"

func TestUnlockedBucket(t *testing.T) {
	for document, want := range map[string]map[OperationName]Code{
		"": {GetObjectRetention: InvalidRequest, GetObjectLegalHold: InvalidRequest, PutObjectRetention: MalformedXML, PutObjectLegalHold: MalformedXML},
		"<LegalHold><Status> ON </Status></LegalHold>":                                                          {PutObjectLegalHold: InvalidRequest, PutObjectRetention: MalformedXML},
		"<LegalHold><Status>MAYBE</Status></LegalHold>":                                                         {PutObjectLegalHold: MalformedXML},
		"<LegalHold><Mode>GOVERNANCE</Mode></LegalHold>":                                                        {PutObjectLegalHold: MalformedXML},
		"<LegalHold><Status>ON</Status></LegalHold><x/>":                                                        {PutObjectLegalHold: MalformedXML},
		"<LegalHold><Status>ON</LegalHold>":                                                                     {PutObjectLegalHold: MalformedXML},
		"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2036-01-01T00:00:00Z</RetainUntilDate></Retention>": {PutObjectRetention: InvalidRequest, PutObjectLegalHold: MalformedXML},
		"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>tomorrow</RetainUntilDate></Retention>":             {PutObjectRetention: MalformedXML},
		"<Retention><Mode>SOFT</Mode></Retention>":                                                              {PutObjectRetention: MalformedXML},
	} {
		for name, code := range want {
			if err := UnlockedBucket(name, []byte(document)); codeOf(err) != code {
				t.Errorf("%s of %q: %v, want %s", name, document, err, code)
			}
		}
	}
}
