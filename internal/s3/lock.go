package s3

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// lockDocuments are the documents that lock an object: the root, and what its elements may
// say; nil: a time.
var lockDocuments = map[OperationName]struct {
	root     string
	elements map[string][]string
}{
	PutObjectLegalHold: {"LegalHold", map[string][]string{"Status": {"ON", "OFF"}}},
	PutObjectRetention: {"Retention", map[string][]string{"Mode": {"GOVERNANCE", "COMPLIANCE"}, "RetainUntilDate": nil}},
}

// UnlockedBucket is the answer to who asks for the retention or the legal hold of an object,
// or sets one: no bucket here has object lock. InvalidRequest, as on AWS; MalformedXML for a
// document that could be set nowhere.
func UnlockedBucket(name OperationName, document []byte) error {
	if want, ok := lockDocuments[name]; ok {
		if err := checkLock(document, want.root, want.elements); err != nil {
			return malformed(err)
		}
	}
	return Errorf(InvalidRequest, "Bucket is missing Object Lock Configuration")
}

func checkLock(document []byte, want string, elements map[string][]string) error {
	d := newXMLReader(bytes.NewReader(document), int64(len(document))+1)
	root, err := d.root()
	if err == nil && root != want {
		err = errUnexpectedElement(root)
	}
	if err == nil {
		err = d.children(func(name []byte) error {
			values, ok := elements[string(name)]
			if !ok {
				return errUnexpectedElement(string(name))
			}
			text, err := d.text()
			if text = strings.TrimSpace(text); err == nil && values == nil {
				_, err = parseTime(text)
			} else if err == nil && !slices.Contains(values, text) {
				err = fmt.Errorf("%q is no %s", text, name)
			}
			return err
		})
	}
	if err == nil {
		err = d.end()
	}
	return err
}
