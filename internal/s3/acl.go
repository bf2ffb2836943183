package s3

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
)

// There is one owner here, whom all buckets and objects belong to, and who may
// do what is decided by users and their scopes. So there is one access control
// list: the owner's full control. It is shown, and whoever sets it is told so;
// every other one is AccessControlListNotSupported, as of a bucket of AWS whose
// lists are off.

// cannedOurs are the canned lists that say just that.
var cannedOurs = []string{"private", "bucket-owner-full-control"}

// cannedOthers are those that would let somebody else in.
var cannedOthers = []string{
	"public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read", "log-delivery-write",
}

const (
	grantPrefix = "x-amz-grant-"
	permitAll   = "FULL_CONTROL"
)

// permissions are the words of a grant.
var permissions = []string{permitAll, "WRITE", "WRITE_ACP", "READ", "READ_ACP"}

// checkACLHeader judges x-amz-acl and x-amz-grant-* on a request that makes a
// bucket or an object.
func (op *Operation) checkACLHeader(name string, values []string) error {
	canned := ""
	if name == "x-amz-acl" && len(values) == 1 {
		canned = values[0]
	}
	switch {
	case slices.Contains(cannedOurs, canned):
		return nil
	case name == "x-amz-acl" && !slices.Contains(cannedOthers, canned):
		return invalidArgument(name, strings.Join(values, ","), "")
	case op.Name == CreateBucket:
		return Err(InvalidBucketACLWithOwnership)
	}
	return Err(AccessControlListNotSupported)
}

// aclHeader tells whether a header is of an access control list.
func aclHeader(name string) bool { return name == "x-amz-acl" || strings.HasPrefix(name, grantPrefix) }

// ACLDocument is the answer to GetBucketAcl and GetObjectAcl.
func ACLDocument(owner Owner) []byte {
	x := newXML(640)
	x.openNamespace("AccessControlPolicy")
	x.owner(owner)
	x.open("AccessControlList")
	x.open("Grant")
	x.b = append(x.b, `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">`...)
	x.text("ID", owner.ID)
	x.text("DisplayName", owner.DisplayName)
	x.close("Grantee")
	x.text("Permission", permitAll)
	x.close("Grant")
	x.close("AccessControlList")
	x.close("AccessControlPolicy")
	return x.bytes()
}

// CheckPutACL judges a PutBucketAcl or PutObjectAcl: nil when it asks for the
// list that there is. off says that the bucket's lists are off, as
// BucketOwnerEnforced says: then nothing but the outcome is judged.
//
//	AccessControlListNotSupported  another list
//	InvalidArgument                an unknown canned one; another owner's
//	InvalidRequest                 a canned one and grants
//	UnexpectedContent              headers and a document
//	MissingSecurityHeader          neither
//	MalformedACLError              a document that is none
//
// An error of the reader itself is returned as it is.
func CheckPutACL(h http.Header, document io.Reader, empty bool, isOwner func(id string) bool, off bool) error {
	canned, granted := h.Get("x-amz-acl"), false
	for name := range h {
		granted = granted || strings.HasPrefix(strings.ToLower(name), grantPrefix)
	}
	switch ours := slices.Contains(cannedOurs, canned); {
	case off && (granted || canned != "" && !ours):
		return Err(AccessControlListNotSupported)
	case canned != "" && !ours && !slices.Contains(cannedOthers, canned):
		return invalidArgument("x-amz-acl", canned, "")
	case (canned != "" || granted) && !empty:
		return Err(UnexpectedContent)
	case canned != "" && granted:
		return Errorf(InvalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed.")
	case ours:
		return nil
	case canned != "" || granted:
		return Err(AccessControlListNotSupported)
	case empty:
		return Err(MissingSecurityHeader)
	}
	return checkACLDocument(document, isOwner)
}

// maxACLDocument bounds an access control policy, in bytes: AWS takes 100 grants.
const maxACLDocument = 64 << 10

// grant is one line of a list.
type grant struct{ id, permission string }

func checkACLDocument(document io.Reader, isOwner func(id string) bool) error {
	var id string
	var grants []grant
	err := parseDocument(document, maxACLDocument, "AccessControlPolicy", func(d *xmlReader, name string) error {
		switch name {
		case "Owner":
			return d.children(func(name []byte) (err error) {
				if string(name) != "ID" {
					return d.skip()
				}
				id, err = d.text()
				return err
			})
		case "AccessControlList":
			return d.children(func(name []byte) error {
				if string(name) != "Grant" {
					return errUnexpectedElement(string(name))
				}
				g, err := d.grant()
				grants = append(grants, g)
				return err
			})
		}
		return errUnexpectedElement(name)
	})
	if err != nil {
		err = malformed(err)
	}
	switch {
	case err == nil && id != "" && !slices.ContainsFunc(grants, grant.bad):
	case err == nil, errors.Is(err, MalformedXML):
		return Err(MalformedACL).Because(err)
	default:
		return err
	}
	if !isOwner(id) {
		return invalidArgument("CanonicalUser/ID", id, "Invalid id")
	}
	for _, g := range grants {
		if !isOwner(g.id) || g.permission != permitAll {
			return Err(AccessControlListNotSupported)
		}
	}
	if len(grants) == 0 {
		return Err(AccessControlListNotSupported)
	}
	return nil
}

func (g grant) bad() bool { return g.id == "" || !slices.Contains(permissions, g.permission) }

// grant reads one Grant. Attributes are not kept, so that the kind of the
// grantee is told by what names it.
func (x *xmlReader) grant() (g grant, err error) {
	err = x.children(func(name []byte) (err error) {
		switch string(name) {
		case "Grantee":
			return x.children(func(name []byte) (err error) {
				switch string(name) {
				case "ID", "URI", "EmailAddress":
					g.id, err = x.text()
					return err
				}
				return x.skip()
			})
		case "Permission":
			g.permission, err = x.text()
			return err
		}
		return errUnexpectedElement(string(name))
	})
	return g, err
}
