package s3

import (
	"io"
	"slices"
	"strconv"
	"strings"
)

// maxSmallDocument bounds the documents that hold a handful of words, in bytes.
const maxSmallDocument = 16 << 10

// DefaultOwnership is what a bucket has that was made without one: access
// control lists are off.
const DefaultOwnership = "BucketOwnerEnforced"

// ownerships are the values of ObjectOwnership. All objects of a bucket belong to
// the bucket's owner here, whoever wrote them, so that each of them is true.
var ownerships = []string{DefaultOwnership, "BucketOwnerPreferred", "ObjectWriter"}

// CheckOwnership holds x-amz-object-ownership against the values that there are:
// InvalidArgument.
func CheckOwnership(value string) error {
	if slices.Contains(ownerships, value) {
		return nil
	}
	return invalidArgument("x-amz-object-ownership", value, "Invalid x-amz-object-ownership header: %s", value)
}

// OwnershipDocument is the answer to GetBucketOwnershipControls.
func OwnershipDocument(value string) string {
	x := newXML(256)
	x.openNamespace("OwnershipControls")
	x.open("Rule")
	x.text("ObjectOwnership", value)
	x.close("Rule")
	x.close("OwnershipControls")
	return string(x.bytes())
}

// ParseOwnership reads the document of a PutBucketOwnershipControls: exactly one
// rule of a known value, else MalformedXML. An error of the reader itself is
// returned as it is.
func ParseOwnership(body io.Reader) (value string, err error) {
	rules := 0
	err = parseDocument(body, maxSmallDocument, "OwnershipControls", func(d *xmlReader, name string) error {
		if name != "Rule" {
			return errUnexpectedElement(name)
		}
		rules++
		return d.children(func(name []byte) error {
			if string(name) != "ObjectOwnership" {
				return errUnexpectedElement(string(name))
			}
			text, err := d.text()
			value = strings.TrimSpace(text)
			return err
		})
	})
	switch {
	case err != nil:
		return "", malformed(err)
	case rules != 1:
		return "", malformed(errMissingElement("Rule"))
	case !slices.Contains(ownerships, value):
		return "", malformed(errUnexpectedElement("ObjectOwnership"))
	}
	return value, nil
}

// Switches of a public access block. No list makes anything public here, so the two about
// lists hold whether they are on or off. The gateway holds a PutBucketPolicy to
// BlockPublicPolicy, and who comes without credentials to RestrictPublicBuckets.
const (
	BlockPublicPolicy     = "BlockPublicPolicy"
	RestrictPublicBuckets = "RestrictPublicBuckets"
)

// publicAccess are all switches, in AWS's order.
var publicAccess = []string{"BlockPublicAcls", "IgnorePublicAcls", BlockPublicPolicy, RestrictPublicBuckets}

// PublicAccessBlocks tells whether a document of ParsePublicAccessBlock, or none, has a switch on.
func PublicAccessBlocks(document, name string) bool {
	return strings.Contains(document, "<"+name+">true</"+name+">")
}

// ParsePublicAccessBlock reads the document of a PutPublicAccessBlock and
// returns the one that GetPublicAccessBlock answers from then on: with all four
// switches, off where nothing was said. MalformedXML; an error of the reader
// itself is returned as it is.
func ParsePublicAccessBlock(body io.Reader) (document string, err error) {
	on := map[string]bool{}
	err = parseDocument(body, maxSmallDocument, "PublicAccessBlockConfiguration", func(d *xmlReader, name string) error {
		text, err := d.text()
		switch text = strings.ToLower(strings.TrimSpace(text)); {
		case err != nil:
			return err
		case !slices.Contains(publicAccess, name), text != "true" && text != "false":
			return errUnexpectedElement(name)
		}
		on[name] = text == "true"
		return nil
	})
	if err != nil {
		return "", malformed(err)
	}
	x := newXML(384)
	x.openNamespace("PublicAccessBlockConfiguration")
	for _, name := range publicAccess {
		x.bool(name, on[name])
	}
	x.close("PublicAccessBlockConfiguration")
	return string(x.bytes()), nil
}

// parseDocument reads a document with that root; child is called at the start of
// each child of it and reads it to its end.
func parseDocument(body io.Reader, maxBytes int64, root string, child func(d *xmlReader, name string) error) error {
	d := newXMLReader(body, maxBytes)
	found, err := d.root()
	switch {
	case err != nil:
		return err
	case found != root:
		return errUnexpectedElement(found)
	}
	if err := d.children(func(name []byte) error { return child(d, string(name)) }); err != nil {
		return err
	}
	return d.end()
}

// PolicyStatusDocument tells whether a bucket's policy is for everybody.
func PolicyStatusDocument(public bool) []byte {
	x := newXML(160)
	x.openNamespace("PolicyStatus")
	x.text("IsPublic", strconv.FormatBool(public))
	x.close("PolicyStatus")
	return x.bytes()
}
