package gateway

import (
	"bytes"
	"cmp"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// Names of the settings that the replicas keep, each that of its sub-resource.
const (
	settingOwnership    = "ownershipControls"
	settingPublicAccess = "publicAccessBlock"
	settingTags         = "tagging"
	settingWebsite      = "website"
)

// maxSetting bounds the document of a setting, in bytes; its parser may be
// stricter.
const maxSetting = 256 << 10

// setting is one that can be set: how it is told, and how it is read.
type setting struct {
	name string
	// parse makes the document that is kept from the client's.
	parse func(document []byte) (string, error)
	// absent answers for a bucket that has none.
	absent s3.Code
	// unset is what a bucket has that never had one set; empty: none.
	unset string
	// put is the status of a success; zero: 200.
	put int
	// most bytes of the client's document; zero: maxSetting.
	most int64
}

// settings are those that there are. A document that is kept is the very one
// that is answered.
var settings = map[string]setting{
	settingTags: {name: settingTags, absent: s3.NoSuchTagSet, put: http.StatusNoContent, parse: func(document []byte) (string, error) {
		tags, err := s3.ParseBucketTagging(bytes.NewReader(document))
		if err != nil {
			return "", err
		}
		return string(s3.TaggingDocument(tags)), nil
	}},
	settingOwnership: {
		name: settingOwnership, absent: s3.OwnershipControlsNotFound, unset: s3.OwnershipDocument(s3.DefaultOwnership),
		parse: func(document []byte) (string, error) {
			value, err := s3.ParseOwnership(bytes.NewReader(document))
			return s3.OwnershipDocument(value), err
		},
	},
	settingCORS: {name: settingCORS, absent: s3.NoSuchCORSConfiguration, parse: parseCORS},

	settingWebsite: {name: settingWebsite, absent: s3.NoSuchWebsiteConfiguration, most: s3.MaxWebsiteBytes, parse: func(document []byte) (string, error) {
		return s3.ParseWebsite(bytes.NewReader(document))
	}},

	settingPublicAccess: {name: settingPublicAccess, absent: s3.NoSuchPublicAccessBlock, parse: func(document []byte) (string, error) {
		return s3.ParsePublicAccessBlock(bytes.NewReader(document))
	}},
}

// getSetting, putSetting and deleteSetting are the operations of a setting.
func getSetting(name string) act {
	return func(h *Handler, w http.ResponseWriter, r *request) error {
		if err := h.Replicas.HeadBucket(r.Context(), r.op.Bucket); err != nil {
			return err
		}
		document, err := h.setting(r, name)
		if err != nil {
			return err
		}
		if document == "" {
			return s3.Err(settings[name].absent).With("BucketName", r.op.Bucket)
		}
		s3.WriteXML(w, []byte(document))
		return nil
	}
}

func putSetting(name string) act {
	return func(h *Handler, w http.ResponseWriter, r *request) error {
		set := settings[name]
		if err := h.Replicas.HeadBucket(r.Context(), r.op.Bucket); err != nil {
			return err
		}
		body, err := r.sender.Document(r.Request, cmp.Or(set.most, maxSetting))
		if err != nil {
			return err
		}
		if len(body) == 0 {
			return s3.Err(s3.MissingRequestBody)
		}
		document, err := set.parse(body)
		if err != nil {
			return err
		}
		if err := h.Replicas.SetBucketSetting(r.Context(), r.op.Bucket, name, &document, r.actor(), r.id); err != nil {
			return err
		}
		if set.put != 0 {
			return empty(w, set.put)
		}
		return empty(w, http.StatusOK)
	}
}

// deleteSetting keeps that there is none, which is not the same as never set.
func deleteSetting(name string) act {
	return func(h *Handler, w http.ResponseWriter, r *request) error {
		var document *string
		if settings[name].unset != "" {
			document = new(string)
		}
		if err := h.Replicas.SetBucketSetting(r.Context(), r.op.Bucket, name, document, r.actor(), r.id); err != nil {
			return err
		}
		return empty(w, http.StatusNoContent)
	}
}

// setting is the document of the request's bucket, empty when there is none.
func (h *Handler) setting(r *request, name string) (string, error) {
	document, ok, err := h.Replicas.BucketSetting(r.Context(), r.op.Bucket, name)
	if err == nil && !ok {
		document = settings[name].unset
	}
	return document, err
}

// unlocked refuses retention and legal holds, once their document is what was signed.
func (h *Handler) unlocked(_ http.ResponseWriter, r *request) error {
	document, err := r.sender.Document(r.Request, maxIdleBody)
	if err != nil {
		return err
	}
	if err := h.Replicas.HeadBucket(r.Context(), r.op.Bucket); err != nil {
		return err
	}
	return s3.UnlockedBucket(r.op.Name, document)
}

// defaultConfiguration answers for a configuration that no bucket here can have
// set.
func (h *Handler) defaultConfiguration(w http.ResponseWriter, r *request) error {
	if err := h.Replicas.HeadBucket(r.Context(), r.op.Bucket); err != nil {
		return err
	}
	document, err := s3.DefaultConfiguration(r.op.Name)
	if err != nil {
		return err
	}
	s3.WriteXML(w, document)
	return nil
}
