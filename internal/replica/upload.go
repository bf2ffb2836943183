package replica

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// CreateUploadRequest is one CreateMultipartUpload.
type CreateUploadRequest struct {
	Key      object.Key
	Headers  object.Headers // of the version, as s3.VersionHeaders gives them
	Tags     object.Tags    // of the version
	Checksum s3.UploadChecksum
	Actor    string // login
}

// CreateUpload begins a multipart upload on the replicas that are up, and returns its
// id. An error says that nothing may be uploaded under any id; what a replica has begun
// by then is thrown away.
func (s *Set) CreateUpload(ctx context.Context, r CreateUploadRequest) (id string, err error) {
	leave, err := s.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	b, over, err := s.buckets.writable(ctx, r.Key.Bucket)
	if err != nil {
		return "", err
	}
	if err := s.holdable(ctx, b, r.Key, -1); err != nil {
		over()
		return "", err
	}
	made, err := s.admitUpload(ctx, r.Key.Bucket)
	if err != nil {
		over()
		return "", err
	}
	headers := r.Headers.Clone()
	if headers == nil {
		headers = object.Headers{}
	}
	headers["content-type"] = cmp.Or(headers["content-type"], s3.DefaultContentType)
	cfg := b.config()
	rec := commit.UploadRecord{Initiator: r.Actor, Headers: headers, Tags: r.Tags, Sum: sumText(r.Checksum), Set: cfg.Replicas}
	if r.Checksum.Algorithm == "" {
		rec.Plain = sumText(s.plainSum(cfg.Replicas))
	}
	sum, _ := carried(&rec)
	p := s.newProcess(s.base, b, r.Key, commit.NewCreate(cfg, rec))
	p.upload = object.NewID()
	stamp := object.Stamp{ID: p.upload, Flag: object.FlagMultipart, Uploaded: s.o.Wall()}
	result := make(chan commit.Result, 1)
	p.other = func(e commit.Effect) {
		switch e := e.(type) {
		case commit.Initiate:
			p.asks.Go(func() { p.deliver(p.initiate(e.Replica, headers, r.Tags, sum, stamp)) })
		case commit.Done:
			result <- e.Result
		default:
			panic(fmt.Sprintf("replica: effect %T of a creation", e))
		}
	}
	s.drive(p, commit.Begin{Up: s.up(b)}, func() { made(); over() })
	select {
	case res := <-result:
		if res.Kind != commit.Acked {
			return "", failure(res)
		}
		return p.upload.String(), nil
	case <-ctx.Done():
		return "", unavailable(context.Cause(ctx))
	}
}

// drive runs a process in the background, counted by the Set. over is called when it
// has ended.
func (s *Set) drive(p *process, first commit.Event, over func()) {
	s.running.Add(1)
	s.crew.Go(func() {
		defer s.running.Done()
		p.run(first)
		over()
	})
}

// initiate begins the upload on one replica.
func (p *process) initiate(replica string, headers object.Headers, tags object.Tags, sum s3.UploadChecksum, stamp object.Stamp) commit.Initiated {
	ctx, cancel := context.WithTimeout(p.ctx, p.set.o.Times.Keep)
	defer cancel()
	at, err := p.set.at(ctx, p.b, replica, p.pace)
	if err != nil {
		return commit.Initiated{Replica: replica, Answer: commit.Answer{Class: commit.No}}
	}
	if p.set.qualities.untagged().Has(replica) {
		tags = nil
	}
	id, err := at.createUpload(ctx, backend.CreateUploadRequest{
		Key: p.key.Name, Headers: headers, Tags: tags, Stamp: stamp, Checksum: p.set.announced(replica, sum),
	})
	return commit.Initiated{Replica: replica, UploadID: id, Answer: answerOf(err)}
}

// announced is what of an upload's checksums a replica is asked to keep: nothing where
// bodies travel without checksums, or without those of the algorithm.
func (s *Set) announced(replica string, sum s3.UploadChecksum) s3.UploadChecksum {
	if s.qualities.payloads()[replica] == PayloadSigned || !s.qualities.keeps()(replica, sum.Algorithm) {
		return s3.UploadChecksum{}
	}
	return sum
}

func (p place) createUpload(ctx context.Context, r backend.CreateUploadRequest) (string, error) {
	r.Bucket = p.bucket
	id, err := p.CreateUpload(ctx, r)
	return id, p.doubt(err)
}

func (p place) putPart(ctx context.Context, r backend.PartRequest) (backend.PutResult, error) {
	r.Bucket = p.bucket
	res, err := p.PutPart(ctx, r)
	return res, p.doubt(err)
}

func (p place) completeUpload(ctx context.Context, r backend.CompleteRequest) (backend.PutResult, error) {
	r.Bucket = p.bucket
	res, err := p.CompleteUpload(ctx, r)
	return res, p.doubt(err)
}

// uploadAnswer is answerOf for requests of an upload: where that is not, a part or a
// Complete was not applied.
func uploadAnswer(err error) commit.Answer {
	if backend.OutcomeOf(err) == backend.Absent {
		return commit.Answer{Class: commit.No, Code: string(s3.NoSuchUpload)}
	}
	return answerOf(err)
}

// openUpload is the record of an upload that may still become a version. NoSuchUpload
// for an id that is not one of the key's.
func (s *Set) openUpload(ctx context.Context, key object.Key, uploadID string) (object.ID, *commit.UploadRecord, error) {
	id, rec, err := s.knownUpload(ctx, key, uploadID)
	if err == nil && (rec.State != commit.UploadOpen && rec.State != commit.UploadCompleting || s.uploads.isOver(id)) {
		err = s3.NoUpload(uploadID)
	}
	return id, rec, err
}

// knownUpload is the record of an upload in any state.
func (s *Set) knownUpload(ctx context.Context, key object.Key, uploadID string) (object.ID, *commit.UploadRecord, error) {
	id, err := object.ParseID(uploadID)
	if err != nil {
		return id, nil, s3.NoUpload(uploadID)
	}
	rec, _, err := s.readRecord(ctx, key, id)
	switch {
	case err != nil:
		return id, nil, unavailable(err)
	case rec == nil:
		return id, nil, s3.NoUpload(uploadID)
	}
	return id, rec, nil
}

// AbortRequest is one AbortMultipartUpload.
type AbortRequest struct {
	Key      object.Key
	UploadID string
}

// AbortUpload ends an upload that has not become a version; afterwards it never will.
// NoSuchUpload for one that did, or that is no more.
func (s *Set) AbortUpload(ctx context.Context, r AbortRequest) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	b, over, err := s.buckets.writable(ctx, r.Key.Bucket)
	if err != nil {
		return err
	}
	id, err := object.ParseID(r.UploadID)
	if err != nil {
		over()
		return s3.NoUpload(r.UploadID)
	}
	result := make(chan commit.Result, 1)
	s.drive(s.newTend(b, r.Key, commit.TendOp{Upload: id, Abort: true}, result), commit.Begin{Up: s.up(b)}, over)
	select {
	case res := <-result:
		switch {
		case res.Kind == commit.Acked:
			return nil
		case res.Code == string(s3.NoSuchUpload):
			return s3.NoUpload(r.UploadID)
		}
		return failure(res)
	case <-ctx.Done():
		return unavailable(context.Cause(ctx))
	}
}

// UploadPart is one part of an upload, as it would be completed with now.
type UploadPart struct {
	Number int
	ETag   string // without quotes
	Size   int64  // bytes
	Added  time.Time
	Sums   object.Headers // x-amz-checksum-*
}

// PartsPage is a page of the parts of an upload.
type PartsPage struct {
	Parts     []UploadPart // by number
	More      bool
	Initiator string // login
	Checksum  s3.UploadChecksum
}

// ListUploadParts returns the parts of higher numbers than after, at most limit.
func (s *Set) ListUploadParts(ctx context.Context, key object.Key, uploadID string, after, limit int) (PartsPage, error) {
	if _, err := s.buckets.readable(ctx, key.Bucket); err != nil {
		return PartsPage{}, err
	}
	id, rec, err := s.openUpload(ctx, key, uploadID)
	if err != nil {
		return PartsPage{}, err
	}
	page := PartsPage{Initiator: rec.Initiator, Checksum: checksumOfText(rec.Sum)}
	all, err := s.readParts(ctx, id)
	if err != nil {
		return PartsPage{}, unavailable(err)
	}
	for _, p := range latest(all) {
		switch {
		case p.Number <= after:
		case len(page.Parts) == limit:
			page.More = true
			return page, nil
		default:
			page.Parts = append(page.Parts, UploadPart{Number: p.Number, ETag: p.ETag, Size: p.Size, Added: p.Added, Sums: toldSums(rec, p.Sums)})
		}
	}
	return page, nil
}

// latest are the attempts that were added last, one of each number, by number.
func latest(all []oplog.Part) []oplog.Part {
	best := map[int]oplog.Part{}
	for _, p := range all {
		if b, ok := best[p.Number]; !ok || p.Added.After(b.Added) {
			best[p.Number] = p
		}
	}
	return slices.SortedFunc(maps.Values(best), func(a, b oplog.Part) int { return a.Number - b.Number })
}

// ListUploadsRequest selects a page of uploads.
type ListUploadsRequest struct {
	Bucket, Prefix    string
	Delimiter         string // rolls up keys that have it after Prefix; empty for none
	AfterKey, AfterID string // as of s3.UploadsRequest
	Max               int    // uploads and common prefixes together
}

// UploadsPage is a page of the uploads under way, by key, and those of one key by
// when they were begun and then by id.
type UploadsPage struct {
	Uploads         []UploadEntry
	Prefixes        []string
	More            bool
	LastKey, LastID string // the greatest entry; of a common prefix there is no id
}

// UploadEntry is one upload under way.
type UploadEntry struct {
	Key, ID   string
	Initiated time.Time
	Initiator string // login
	Checksum  s3.UploadChecksum
}

// ListUploads returns a page of the uploads under way. InvalidArgument for a place to begin
// at that no page ever ended with: no id of ours, or that of an upload of another key. An
// upload that is gone is a place like another: uploads end between two pages.
func (s *Set) ListUploads(ctx context.Context, r ListUploadsRequest) (UploadsPage, error) {
	if _, err := s.buckets.readable(ctx, r.Bucket); err != nil {
		return UploadsPage{}, err
	}
	wrong := s3.Errorf(s3.InvalidArgument, "Invalid uploadId marker").With("ArgumentName", "upload-id-marker").With("ArgumentValue", r.AfterID)
	if _, err := object.ParseID(r.AfterID); r.AfterID != "" && err != nil {
		return UploadsPage{}, wrong
	}
	var page UploadsPage
	full := func() bool { page.More = len(page.Uploads)+len(page.Prefixes) == r.Max; return page.More }
	one := func(key object.Key, id object.ID, rec *commit.UploadRecord) bool {
		open := (rec.State == commit.UploadOpen || rec.State == commit.UploadCompleting) && !s.uploads.isOver(id)
		if !open {
			return true
		}
		if prefix, ok := r.rolled(key.Name); ok {
			if prefix <= r.AfterKey || len(page.Prefixes) > 0 && page.Prefixes[len(page.Prefixes)-1] == prefix {
				return true
			}
			if full() {
				return false
			}
			page.Prefixes = append(page.Prefixes, prefix)
			page.LastKey, page.LastID = prefix, ""
			return true
		}
		if full() {
			return false
		}
		page.Uploads = append(page.Uploads, UploadEntry{
			Key: key.Name, ID: id.String(), Initiated: rec.Created, Initiator: rec.Initiator, Checksum: checksumOfText(rec.Sum),
		})
		page.LastKey, page.LastID = key.Name, id.String()
		return true
	}
	var same []uploadOf // of one key, whatever their state
	tell := func() bool {
		for _, u := range r.behind(same) {
			if !one(u.key, u.id, u.rec) {
				return false
			}
		}
		same = same[:0]
		return true
	}
	mismatch := false
	err := s.eachUpload(ctx, r.Bucket, r.Prefix, func(key object.Key, id object.ID, rec *commit.UploadRecord) bool {
		if mismatch = r.AfterID == id.String() && r.AfterKey != key.Name; mismatch {
			return false
		}
		if len(same) > 0 && same[0].key != key && !tell() {
			same = nil
			return false
		}
		same = append(same, uploadOf{key, id, rec})
		return true
	})
	switch {
	case err != nil:
		return UploadsPage{}, unavailable(err)
	case mismatch:
		return UploadsPage{}, wrong
	}
	tell()
	return page, nil
}

// uploadOf is an upload and its record.
type uploadOf struct {
	key object.Key
	id  object.ID
	rec *commit.UploadRecord
}

// behind returns the uploads of one key that are behind the place where the page begins,
// in the order of a list. When nothing is known any more of the one that the last page
// ended with, all of its key's come again rather than that one is left out.
func (r *ListUploadsRequest) behind(same []uploadOf) []uploadOf {
	if len(same) == 0 || same[0].key.Name < r.AfterKey || same[0].key.Name == r.AfterKey && r.AfterID == "" {
		return nil
	}
	slices.SortFunc(same, func(a, b uploadOf) int {
		return cmp.Or(a.rec.Created.Compare(b.rec.Created), strings.Compare(a.id.String(), b.id.String()))
	})
	if same[0].key.Name > r.AfterKey {
		return same
	}
	return same[1+slices.IndexFunc(same, func(u uploadOf) bool { return u.id.String() == r.AfterID }):]
}

func (r *ListUploadsRequest) rolled(key string) (prefix string, ok bool) {
	if r.Delimiter == "" {
		return "", false
	}
	before, _, ok := strings.Cut(strings.TrimPrefix(key, r.Prefix), r.Delimiter)
	return r.Prefix + before + r.Delimiter, ok
}

// docsAtOnce is how many documents of uploads are read together.
const docsAtOnce = 500

// eachUpload calls do for the uploads of a bucket (empty: of all) whose keys begin with prefix, by key
// and id, until it returns false. The error is the log's.
func (s *Set) eachUpload(ctx context.Context, bucket, prefix string, do func(object.Key, object.ID, *commit.UploadRecord) bool) error {
	head := oplog.UploadsOf(bucket, prefix)
	if bucket == "" {
		head = ""
	}
	after := head
	for {
		docs, err := s.o.Log.Docs(ctx, oplog.DocUpload, after, docsAtOnce)
		if err != nil {
			s.logFailed(callWalk, err)
			return err
		}
		for _, doc := range docs {
			after = doc.Name
			key, id, ok := oplog.ParseUploadName(doc.Name)
			if !strings.HasPrefix(doc.Name, head) || !ok {
				return nil
			}
			rec, err := decodeRecord(doc.Body)
			if err != nil {
				return err
			}
			if !do(key, id, rec) {
				return nil
			}
		}
		if len(docs) < docsAtOnce {
			return nil
		}
	}
}

// PartSizes are the sizes in bytes of the parts of a version that was read: none of one
// that was put in one piece. Where the row does not know them any more a replica that
// shows the version is asked.
func (s *Set) PartSizes(ctx context.Context, key object.Key, info object.Info) ([]int64, error) {
	if len(info.Parts) > 0 || !strings.Contains(info.ETag, "-") {
		return info.Parts, nil
	}
	b, err := s.buckets.readable(ctx, key.Bucket)
	if err != nil {
		return nil, err
	}
	cause := fmt.Errorf("no replica is up")
	for _, replica := range s.order(b) {
		at, err := s.at(ctx, b, replica, clients)
		if err != nil {
			cause = err
			continue
		}
		sizes, err := at.PartSizes(ctx, at.bucket, key.Name, info.ETag)
		if err == nil {
			return sizes, nil
		}
		cause = at.doubt(err)
	}
	return nil, unavailable(fmt.Errorf("part sizes: %w", cause))
}
