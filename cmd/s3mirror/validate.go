package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// The payload modes of a backend.
const (
	payloadAuto    = "auto"
	payloadTrailer = "unsigned-trailer"
	payloadSigned  = "signed-chunked"
	minMemory      = Size(1 << 20)
	minPerUpload   = Size(512 << 10) // the held tail of 256 KiB and as much again to stream
	minLease       = time.Second
	maxLease       = time.Minute
)

// report notes what is wrong with the key at path.
type report func(path, format string, args ...any)

// validate tells everything that is wrong with a configuration whose values
// have the right form. It opens nothing but the certificates that it names.
func validate(c *Config, bad report) {
	if c.DataDir == "" {
		bad("data_dir", "must name a folder")
	}
	validateListeners(c, bad)
	validateLog(c, bad)
	validateBackends(c, bad)
	validateReplication(c, bad)
	validateBuckets(c, bad)
	validateIssuers(c, bad)
	if c.Heal.RequestsPerSecond < 0 {
		bad("heal.requests_per_second", "must be 0 (no limit) or more")
	}
	validateTraces(c.Traces, bad)
	if c.ShutdownDelay < 0 {
		bad("shutdown_delay", "must be 0 or more")
	}
	if c.Heal.Interval <= 0 {
		bad("heal.interval", "must be more than 0")
	}
}

func validateListeners(c *Config, bad report) {
	validateAddress("s3.listen", c.S3.Listen, bad)
	validateAddress("admin.listen", c.Admin.Listen, bad)
	if c.S3.Listen == c.Admin.Listen && !strings.HasSuffix(c.S3.Listen, ":0") {
		bad("admin.listen", "is the address of s3.listen too")
	}
	for i, d := range c.S3.Domains {
		if !hostName.MatchString(d) || net.ParseIP(d) != nil {
			bad(fmt.Sprintf("s3.domains[%d]", i), "%q is not a domain name in lower case, as in s3.example.org", d)
		}
	}
	if c.S3.Region == "" {
		bad("s3.region", "must not be empty")
	}
	validatePublicURL(c.S3.PublicURL, bad)
	validateTLS("s3.tls", c.S3.TLS, bad)
	validateTLS("admin.tls", c.Admin.TLS, bad)
	validatePath("admin.path", c.Admin.Path, bad)
	if c.S3.ProxyProtocol && len(c.S3.TrustedProxies) == 0 {
		bad("s3.proxy_protocol", "needs s3.trusted_proxies: whoever connects could name any address")
	}
	if c.S3.StaleReads && c.Log.Engine != engineCassandra {
		bad("s3.stale_reads", "wants log.engine cassandra: an embedded log is never away while the node serves")
	}
	if c.S3.PerUpload < minPerUpload {
		bad("s3.per_upload", "must be %s or more", minPerUpload)
	}
	if c.S3.Memory < max(minMemory, c.S3.PerUpload) {
		bad("s3.memory", "must be %s or more: one upload takes s3.per_upload of it", max(minMemory, c.S3.PerUpload))
	}
}

func validateTraces(c TracesConfig, bad report) {
	if u, err := url.Parse(c.Endpoint); c.Endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil) {
		bad("traces.endpoint", "%q is no URL of a collector, as in http://127.0.0.1:4318", c.Endpoint)
	}
	if !(c.Sample >= 0 && c.Sample <= 1) {
		bad("traces.sample", "must be between 0 and 1")
	}
}

func validateTLS(path string, files *TLSConfig, bad report) {
	if files == nil {
		return
	}
	if _, err := tls.LoadX509KeyPair(files.Cert, files.Key); err != nil {
		bad(path, "%v", err)
	}
}

// segments is a path that a proxy may show the admin listener below.
var segments = regexp.MustCompile(`^(/[A-Za-z0-9_-][A-Za-z0-9._~-]*)+$`)

// validatePublicURL wants a URL that ends with the host: a signature covers the path.
func validatePublicURL(text string, bad report) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		bad("s3.public_url", "%q is not a URL of http or https that ends with the host, as in https://s3.example.org", text)
	}
}

// validatePath wants a path that hides none of the listener's own.
func validatePath(key, path string, bad report) {
	if path == "" {
		return
	}
	if !segments.MatchString(path) {
		bad(key, "%q is no path: want one as in /s3mirror, without a slash at its end", path)
		return
	}
	first, _, _ := strings.Cut(path[1:], "/")
	if slices.Contains([]string{"api", "assets", "healthz", "readyz", "metrics", "version", "debug"}, first) {
		bad(key, "%q hides what the listener serves below /%s", path, first)
	}
}

var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// validateAddress wants host:port; an empty host is every address.
func validateAddress(path, address string, bad report) {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		bad(path, "%q is not host:port, as in 127.0.0.1:9000", address)
	}
}

func validateLog(c *Config, bad report) {
	switch c.Log.Engine {
	case enginePebble:
		if c.Log.Cassandra != nil {
			bad("log.cassandra", "stands there, and log.engine is pebble: remove it, or set engine: cassandra")
		}
	case engineCassandra:
		validateCassandra(c.Log.Cassandra, bad)
	default:
		bad("log.engine", "%q is not an engine: want pebble or cassandra", c.Log.Engine)
	}
	if least := c.minRetention(); time.Duration(c.Log.Retention) <= least {
		bad("log.retention", "%s must be more than 2 x (settle %s + lease %s + clock skew %s) = %s, or a late request could land where no row remembers it",
			c.Log.Retention, Duration(c.longestSettle()), c.Replication.Lease, maxSkew, Duration(least))
	}
	if c.Log.History < Duration(time.Hour) {
		bad("log.history", "must be 1h or more")
	}
}

var keyspaceName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// maxCopies bounds the replication factor: more is a slip of the finger.
const maxCopies = 9

func validateCassandra(k *CassandraConfig, bad report) {
	if k == nil {
		bad("log.cassandra", "is missing: engine cassandra wants at least {hosts: [...]}")
		return
	}
	if len(k.Hosts) == 0 {
		bad("log.cassandra.hosts", "name at least one node")
	}
	for i, h := range k.Hosts {
		if net.ParseIP(h) == nil && !hostName.MatchString(h) {
			bad(fmt.Sprintf("log.cassandra.hosts[%d]", i), "%q is not a host name or an address, without a port", h)
		}
	}
	if k.Port < 1 || k.Port > 65535 {
		bad("log.cassandra.port", "%d is not a port", k.Port)
	}
	if !keyspaceName.MatchString(k.Keyspace) {
		bad("log.cassandra.keyspace", "%q is not a keyspace: 1 to 48 of a-z, 0-9, _, beginning with a letter", k.Keyspace)
	}
	if (k.Username == "") != (k.Password == "") {
		bad("log.cassandra.username", "give both username and password (or password_file), or neither")
	}
	if k.ReplicationFactor < 1 || k.ReplicationFactor > maxCopies {
		bad("log.cassandra.replication_factor", "must be between 1 and %d", maxCopies)
	}
	for _, dc := range slices.Sorted(maps.Keys(k.Datacenters)) {
		switch n := k.Datacenters[dc]; {
		case dc == k.Datacenter:
			bad("log.cassandra.datacenters."+dc, "is log.cassandra.datacenter: its copies are replication_factor")
		case n < 1 || n > maxCopies:
			bad("log.cassandra.datacenters."+dc, "must be between 1 and %d", maxCopies)
		}
	}
	if k.Consistency != consistencySerial && k.Consistency != consistencyLocal {
		bad("log.cassandra.consistency", "%q is none: want %s or %s", k.Consistency, consistencySerial, consistencyLocal)
	}
	if _, err := k.TLS.load(); err != nil {
		bad("log.cassandra.tls", "%v", err)
	}
}

// load reads the files; nil: no TLS.
func (t *CassandraTLS) load() (*tls.Config, error) {
	if t == nil {
		return nil, nil //nolint:nilnil // no TLS is no error
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := readBounded(t.CAFile, 1<<20)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s holds no certificate in PEM form", t.CAFile)
		}
	}
	if (t.Cert == "") != (t.Key == "") {
		return nil, errors.New("give both cert and key, or neither")
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

var backendName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,31}$`)

func validateBackends(c *Config, bad report) {
	if len(c.Backends) == 0 {
		bad("backends", "name at least one S3 endpoint")
	}
	names, places := map[string]bool{}, map[string]string{}
	for i, b := range c.Backends {
		at := fmt.Sprintf("backends[%d]", i)
		switch {
		case b.Name == "":
			bad(at+".name", "is missing")
		case !backendName.MatchString(b.Name):
			bad(at+".name", "%q is not a name: 1 to 32 of a-z, 0-9, -, _, ., beginning with a letter or digit", b.Name)
		case names[b.Name]:
			bad(at+".name", "%q is the name of an earlier backend too", b.Name)
		}
		names[b.Name] = true

		place := validateEndpoint(at, b.Endpoint, bad) + " " + b.AccessKeyID
		if other, ok := places[place]; ok && b.Endpoint != "" {
			bad(at+".endpoint", "is the endpoint of backend %s too, with the same access key: two replicas in one place are one copy", other)
		}
		places[place] = b.Name
		validateAccess(at, b, bad)
		if *b.Settle != c.Replication.Settle && time.Duration(*b.Settle) < minSettle {
			bad(at+".settle", "must be %s or more", minSettle)
		}
	}
}

// storageClassPattern is what the classes of all providers look like; archives are those
// whose objects have to be restored before they can be read.
var (
	storageClassPattern = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`)
	archives            = []string{"GLACIER", "DEEP_ARCHIVE", "ARCHIVE", "COLD_ARCHIVE", "DEEP_COLD_ARCHIVE"}
)

// validateAccess checks what else a backend needs to be spoken to.
func validateAccess(at string, b BackendConfig, bad report) {
	if b.AccessKeyID == "" {
		bad(at+".access_key_id", "is missing")
	}
	if b.SecretAccessKey == "" {
		bad(at+".secret_access_key", "is missing: give it, or secret_access_key_file")
	}
	if !slices.Contains([]string{payloadAuto, payloadTrailer, payloadSigned}, b.PayloadMode) {
		bad(at+".payload_mode", "%q is not a mode: want %s, %s or %s", b.PayloadMode, payloadAuto, payloadTrailer, payloadSigned)
	}
	switch {
	case b.StorageClass == "":
	case !storageClassPattern.MatchString(b.StorageClass):
		bad(at+".storage_class", "%q is not a storage class: want capital letters, digits and _, as in STANDARD_IA", b.StorageClass)
	case slices.Contains(archives, b.StorageClass):
		bad(at+".storage_class", "%s is an archive: what is in it cannot be read, and so is no replica", b.StorageClass)
	}
	if b.CAFile != "" {
		pem, err := readBounded(b.CAFile, 1<<20)
		if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			err = fmt.Errorf("%s holds no certificate in PEM form", b.CAFile)
		}
		if err != nil {
			bad(at+".ca_file", "%v", err)
		}
	}
}

// validateEndpoint returns the endpoint in the one form in which two that are
// the same place are equal.
func validateEndpoint(at, endpoint string, bad report) string {
	u, err := url.Parse(endpoint)
	switch {
	case endpoint == "":
		bad(at+".endpoint", "is missing")
		return ""
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		bad(at+".endpoint", "%q is not a URL, as in https://s3.example.org", endpoint)
		return ""
	case u.User != nil:
		bad(at+".endpoint", "must not hold credentials: use access_key_id and secret_access_key")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		bad(at+".endpoint", "%q must end after the host: buckets are addressed below it", endpoint)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return strings.ToLower(net.JoinHostPort(u.Hostname(), port))
}

func validateReplication(c *Config, bad report) {
	r := c.Replication
	switch r.Mode {
	case modeActive:
		if r.Primary != "" {
			bad("replication.primary", "is for mode disabled: take it out, or set replication.mode")
		}
	case modeDisabled:
		if r.Primary == "" {
			bad("replication.primary", "is missing: mode disabled needs the backend that takes reads and writes")
		} else if !slices.Contains(r.ReplicaSet, r.Primary) {
			bad("replication.primary", "%q is not in the replica set", r.Primary)
		}
	default:
		bad("replication.mode", "%q is not a mode: want active or disabled", r.Mode)
	}
	if time.Duration(r.Settle) < minSettle {
		bad("replication.settle", "must be %s or more", minSettle)
	}
	if r.Backlog < 0 {
		bad("replication.backlog", "must be 1 or more, or 0")
	}
	if time.Duration(c.Uploads.Complete) < time.Second {
		bad("uploads.complete", "must be 1s or more")
	}
	if time.Duration(c.Uploads.Stray) < time.Second {
		bad("uploads.stray", "must be 1s or more")
	}
	if c.Uploads.MaxOpen < 0 {
		bad("uploads.max_open", "must be 1 or more, or 0")
	}
	if age := c.Uploads.Age; age != 0 && time.Duration(age) < time.Minute {
		bad("uploads.age", "must be 1m or more, or 0")
	}
	if lease := time.Duration(r.Lease); lease < minLease || lease > maxLease {
		bad("replication.lease", "must be between %s and %s", Duration(minLease), Duration(maxLease))
	}
	if known := c.backendNames(); !slices.Equal(r.ReplicaSet, known) { // else the default, or the same
		validateSet("replication.replica_set", r.ReplicaSet, known, bad)
	}
	validateAck("replication.ack", r.Ack, r.ReplicaSet, bad)
}

// validateSet wants names of known backends, each once.
func validateSet(path string, set, known []string, bad report) {
	for i, name := range set {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case !slices.Contains(known, name):
			bad(at, "there is no backend %q", name)
		case slices.Contains(set[:i], name):
			bad(at, "%q stands there twice", name)
		}
	}
}

// validateAck wants a rule that a whole replica set can meet.
func validateAck(path string, a AckRule, set []string, bad report) {
	if need := a.Need(len(set)); need > len(set) && len(set) > 0 {
		bad(path, "asks for %d replicas, and there are %d", need, len(set))
	}
	for i, name := range a.Include {
		switch {
		case !slices.Contains(set, name):
			bad(path, "includes %q, which is not in the replica set", name)
		case slices.Contains(a.Include[:i], name):
			bad(path, "includes %q twice", name)
		}
	}
}

func validateBuckets(c *Config, bad report) {
	for _, name := range slices.Sorted(maps.Keys(c.Buckets)) {
		at := "buckets." + name
		if s3.CheckBucketName(name) != nil {
			bad(at, "is not a bucket name: 3 to 63 of a-z, 0-9, -, .")
		}
		b := c.bucket(name)
		validateSet(at+".replica_set", c.Buckets[name].ReplicaSet, c.backendNames(), bad)
		validateAck(at+".ack", *b.Ack, b.ReplicaSet, bad)
		for _, backend := range slices.Sorted(maps.Keys(b.Names)) {
			mapped := b.Names[backend]
			if !slices.Contains(b.ReplicaSet, backend) {
				bad(at+".names."+backend, "is not a backend of the bucket's replica set")
			}
			if len(mapped) < 3 || len(mapped) > 255 || strings.Contains(mapped, "/") {
				bad(at+".names."+backend, "%q is not a bucket name", mapped)
			}
		}
	}
	validateMapping(c, bad)
}

// validateMapping refuses two buckets in one real bucket: each would see the
// other's objects as divergence and heal them away.
func validateMapping(c *Config, bad report) {
	owner := map[[2]string]string{} // backend, real bucket -> bucket
	for _, name := range slices.Sorted(maps.Keys(c.Buckets)) {
		for _, backend := range c.bucket(name).ReplicaSet {
			place := [2]string{backend, c.realBucket(name, backend)}
			if other, ok := owner[place]; ok && other != name {
				bad("buckets."+name, "is in bucket %q of backend %s, and so is bucket %q", place[1], backend, other)
			}
			owner[place] = name
		}
	}
}
