package main

import (
	"cmp"
	"time"

	"github.com/s3mirror/s3mirror/internal/commit"
	"github.com/s3mirror/s3mirror/internal/replica"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// Config is the whole configuration of `s3mirror serve`. The comment of each
// field is its manual; docs/configuration.md is made from them, and a test
// keeps the two equal.
type Config struct {
	// The folder of the embedded log and of the secrets that are generated at the first
	// start. One process at a time may use it. Losing it is losing the log: keep it on a
	// disk that honours fsync. With engine `cassandra` it holds the node's name and, unless
	// the environment names another file, the secret key.
	DataDir string `yaml:"data_dir"`
	// The S3 face.
	S3 S3Config `yaml:"s3"`
	// The admin listener: API, health, metrics, version.
	Admin AdminConfig `yaml:"admin"`
	// The operation log.
	Log LogConfig `yaml:"log"`
	// The S3 endpoints that hold the replicas. Required.
	Backends []BackendConfig `yaml:"backends"`
	// How every bucket is replicated, unless `buckets` says otherwise.
	Replication ReplicationConfig `yaml:"replication"`
	// Settings of single buckets, by the name that clients use.
	Buckets map[string]BucketConfig `yaml:"buckets"`
	// Other issuers whose access tokens are taken, on both ports, beside those of s3mirror
	// itself. Whoever runs one can speak for every user here but root.
	Issuers []IssuerConfig `yaml:"issuers"`
	// Multipart uploads.
	Uploads UploadsConfig `yaml:"uploads"`
	// The pace of the healer.
	Heal HealConfig `yaml:"heal"`
	// Where OpenTelemetry traces are sent. Off unless an endpoint is named.
	Traces TracesConfig `yaml:"traces"`
	// How long /readyz says no at the end before the listeners close: longer than a load
	// balancer needs to notice. Requests are served meanwhile. SIGTERM a second time ends
	// the wait, and the process.
	ShutdownDelay Duration `yaml:"shutdown_delay"`
}

// S3Config is the S3 listener and what bounds it.
type S3Config struct {
	// Address of the S3 API, host:port. Port 0 takes a free one, which is printed.
	Listen string `yaml:"listen"`
	// Names below which buckets are also addressed virtual-host style
	// (`photos.s3.example.org`). Path style always works.
	Domains []string `yaml:"domains"`
	// The URL by which clients reach the S3 API, as in `https://s3.example.org`: links to
	// objects (`s3mirror object link`, the console) begin with it. Default: the host name by
	// which the admin API was reached, and the port of `s3.listen`.
	PublicURL string `yaml:"public_url"`
	// The region that is reported. Any region in the scope of a signature is accepted.
	Region string `yaml:"region"`
	// Serve HTTPS with this certificate and key (PEM files). Both are read again when the
	// files change.
	TLS *TLSConfig `yaml:"tls"`
	// Networks of the load balancers, as in `10.0.0.0/8`: only theirs is the
	// `X-Forwarded-For` that is believed, on the admin listener too. Users' limits on
	// addresses stand on this.
	TrustedProxies []Network `yaml:"trusted_proxies"`
	// Every connection begins with a PROXY protocol header, version 1 or 2, and only the
	// trusted proxies may connect.
	ProxyProtocol bool `yaml:"proxy_protocol"`
	// All bodies in flight together never take more memory than this. A request that finds
	// no room waits, then gets 503 SlowDown.
	Memory Size `yaml:"memory"`
	// The buffer that one upload shares among its replicas: how far the fastest may be
	// ahead of the slowest.
	PerUpload Size `yaml:"per_upload"`
	// Take Signature Version 2 beside version 4, in presigned URLs, headers and forms:
	// boto3 and version 1 of the aws CLI still make presigned URLs with it.
	SignatureV2 bool `yaml:"signature_v2"`
	// Let requests without any credentials do what the policy of a bucket allows to
	// everybody (`"Principal": "*"`), which is its owner's explicit word, and nothing else.
	// Off, they are refused whatever a policy says.
	Anonymous bool `yaml:"anonymous"`
	// While a shared log has been away for a lease, answer GET, HEAD and lists with what a
	// replica shows, and `x-s3mirror-stale: true`: it may be older than what was
	// acknowledged, or deleted since. Users and keys are as they were known last. Off,
	// these are answered 503, as writes are.
	StaleReads bool `yaml:"stale_reads"`
	// Name the replica that answered in `x-s3mirror-replica`.
	DebugHeaders bool `yaml:"debug_headers"`
}

// TLSConfig names a certificate chain and its key.
type TLSConfig struct {
	// The certificate chain, a PEM file.
	Cert string `yaml:"cert"`
	// The private key, a PEM file.
	Key string `yaml:"key"`
}

// AdminConfig is the admin listener.
type AdminConfig struct {
	// Address of the admin API, the web console, /healthz, /readyz, /metrics and /version,
	// host:port. /metrics and the health checks need no login: do not open it to the world.
	Listen string `yaml:"listen"`
	// A path, as in `/s3mirror`, below which everything on this listener is served as well:
	// for a proxy that shows it there and passes the path on. One that takes the path away
	// needs nothing here.
	Path string `yaml:"path"`
	// Serve HTTPS with this certificate and key (PEM files). Both are read again when the
	// files change.
	TLS *TLSConfig `yaml:"tls"`
}

// LogConfig is the operation log and how long it remembers.
type LogConfig struct {
	// `pebble`: embedded in this process. `cassandra`: in a cluster of Apache Cassandra, whose
	// schema `s3mirror migrate` makes, where any number of nodes share it.
	Engine string `yaml:"engine"`
	// How long the row of a key stays after nothing is left to do for it. A late request
	// is recognised, and never served, as long as the row stands. More than 2 x (settle +
	// lease + 1s).
	Retention Duration `yaml:"retention"`
	// How long the history of operations is kept.
	History Duration `yaml:"history"`
	// The cluster of engine `cassandra`.
	Cassandra *CassandraConfig `yaml:"cassandra"`
}

// CassandraConfig is a cluster of Apache Cassandra, 4.1.6 or later, and the log's
// place in it.
type CassandraConfig struct {
	// Host names or addresses of some nodes; the others are found through them. Required.
	Hosts []string `yaml:"hosts"`
	// The port of every node, whatever nodes say of each other's.
	Port int `yaml:"port"`
	// The datacenter whose nodes are asked, and hold the log.
	Datacenter string `yaml:"datacenter"`
	// The keyspace, which `s3mirror migrate` makes: lower case letters, digits and `_`. One
	// deployment owns it.
	Keyspace string `yaml:"keyspace"`
	// The user, if the cluster asks for one. To migrate it must be allowed to make keyspaces
	// and tables; to serve, to read and change these.
	Username string `yaml:"username"`
	// The password. Better in the environment (`${NAME}`) or in a file.
	Password sigv4.Secret `yaml:"password"`
	// A file that holds the password; a newline at its end is dropped.
	PasswordFile string `yaml:"password_file"`
	// How many nodes of the datacenter hold each row. With fewer than 3 the log stands still
	// while one of them is away.
	ReplicationFactor int `yaml:"replication_factor"`
	// How many nodes of other datacenters hold each row, as in `{dc2: 3}`. `migrate` makes the
	// keyspace so; with `serial` their votes count in every write.
	Datacenters map[string]int `yaml:"datacenters"`
	// Who votes: `serial`, the nodes of all datacenters together, or `local_serial`, those of
	// `datacenter` alone. `local_serial` is right only while every gateway has the same
	// `datacenter`; it spares each write and read the way between them, and the loss of that
	// datacenter can lose what was acknowledged last.
	Consistency string `yaml:"consistency"`
	// Speak TLS with every node.
	TLS *CassandraTLS `yaml:"tls"`
}

// CassandraTLS is how nodes prove who they are, and we to them. PEM files, read at
// the start.
type CassandraTLS struct {
	// Trust the authorities in this file instead of the system's.
	CAFile string `yaml:"ca_file"`
	// Our certificate, where the cluster asks for one (`require_client_auth`).
	Cert string `yaml:"cert"`
	// The key of `cert`.
	Key string `yaml:"key"`
	// The name that the certificate of every node bears. Unset: each bears the address under
	// which it is reached.
	ServerName string `yaml:"server_name"`
}

// Who votes in the log.
const (
	consistencySerial = "serial"
	consistencyLocal  = "local_serial"
)

// BackendConfig is one S3 endpoint with its credentials.
type BackendConfig struct {
	// Its name in logs, metrics, rows and commands: 1 to 32 of a-z, 0-9, `-`, `_`, `.`. It
	// must never be given to another store: rows of the log refer to it.
	Name string `yaml:"name"`
	// Its base URL, http or https, without a path.
	Endpoint string `yaml:"endpoint"`
	// The region its signatures name.
	Region string `yaml:"region"`
	// The access key ID.
	AccessKeyID string `yaml:"access_key_id"`
	// The secret access key. Better in the environment (`${NAME}`) or in a file.
	SecretAccessKey sigv4.Secret `yaml:"secret_access_key"`
	// A file that holds the secret access key; a newline at its end is dropped.
	SecretAccessKeyFile string `yaml:"secret_access_key_file"`
	// Address buckets as a path (default) or as a host name.
	PathStyle *bool `yaml:"path_style"`
	// Trust the certificates of this PEM file instead of the system's.
	CAFile string `yaml:"ca_file"`
	// How bodies are framed so that the backend itself refuses a damaged one: `auto`
	// (what the probe at first contact proved: the client's literal hash, else a crc32c
	// trailer, where the backend verifies them, else signed chunks; a backend that
	// verifies nothing is refused), `unsigned-trailer`, or `signed-chunked`.
	PayloadMode string `yaml:"payload_mode"`
	// The storage class in which this backend keeps objects, in its own words, as in
	// `STANDARD_IA`; what is in an archive cannot be read, so none of those. Clients are not
	// shown it. Empty: the backend's default.
	StorageClass string `yaml:"storage_class"`
	// `replication.settle` of this backend.
	Settle *Duration `yaml:"settle"`
}

// ReplicationConfig holds the defaults of every bucket.
type ReplicationConfig struct {
	// The backends that hold a bucket. Default: all.
	ReplicaSet []string `yaml:"replica_set"`
	// What must hold before a write is answered: `any`, `quorum`, `all`, or `{at_least: 2,
	// include: [eu-1]}`. A floor: a healthy write has all its copies when it is answered.
	// With `any` an acknowledged write may rest on one backend until the healer has copied
	// it.
	Ack AckRule `yaml:"ack"`
	// `active`: every write goes to every backend of the set. `disabled`: the primary alone
	// takes writes and is read, what the others miss is logged, and healed once the mode is
	// active again; until then an acknowledged write rests on one backend. What `s3mirror
	// mode` sets while the server runs counts more than this.
	Mode string `yaml:"mode"`
	// The one backend of mode `disabled`.
	Primary string `yaml:"primary"`
	// Assumption A3: how late a request that was sent may still take effect, counted from
	// when its backend was last seen hanging. Too small, and a late request can overwrite
	// newer data unseen. Keep the default unless you know the backend and every proxy
	// before it.
	Settle Duration `yaml:"settle"`
	// How long a write may stay undecided before another node ends it. 1s to 1m.
	Lease Duration `yaml:"lease"`
	// How many keys of one bucket a backend may lag by while it is away, is paused, or is left
	// alone by mode `disabled`. The log has a row for each. With more it is left behind: the
	// bucket is not read from it, the rows go, and when it is back a job compares the whole
	// bucket and fills it. A row takes some 400 bytes. 0: any number.
	Backlog int64 `yaml:"backlog"`
}

// BucketConfig overrides the defaults for one bucket.
type BucketConfig struct {
	// As `replication.ack`.
	Ack *AckRule `yaml:"ack"`
	// As `replication.replica_set`.
	ReplicaSet []string `yaml:"replica_set"`
	// The bucket's name on a backend, where it differs.
	Names map[string]string `yaml:"names"`
	// You vouch that replicas which are not empty at first contact hold the same objects.
	// Without it such a bucket is refused. A wrong promise makes differing replicas look
	// equal.
	AssumeEqual bool `yaml:"assume_equal"`
}

// IssuerConfig is another issuer of tokens: JWTs (RFC 7519) signed with a key of its JSON
// Web Key Set. The keys are read anew every 5 minutes and when a token names one that is
// not known; while the issuer is out of reach those that are known serve for an hour.
type IssuerConfig struct {
	// Its name, as its tokens have it in `iss`, byte for byte. Required.
	Issuer string `yaml:"issuer"`
	// Texts of which a token must have one in `aud`. Required: a token for another service
	// must not open this one.
	Audience []string `yaml:"audience"`
	// The URL of its keys. HTTPS, or HTTP on this host. No redirect is followed. Required.
	JWKSURL string `yaml:"jwks_url"`
	// Trust the certificates of this PEM file instead of the system's.
	CAFile string `yaml:"ca_file"`
	// The signatures that are taken, of `RS256`, `RS384`, `RS512`, `PS256`, `ES256`, `ES384`
	// and `EdDSA`. Default: all of these, and never another one.
	Algorithms []string `yaml:"algorithms"`
	// The longest life of a token, between `iat` and `exp`. A longer one is refused.
	MaxLife Duration `yaml:"max_life"`
	// Which claims say what. Dots lead into objects, as in `realm_access.roles`.
	Claims ClaimsConfig `yaml:"claims"`
	// Its own words for ours: `read`, `write` and `admin`, as in `{s3-editor: write}`. Without,
	// it uses ours. Words that are not here give nothing.
	Words map[string]string `yaml:"words"`
}

// ClaimsConfig names claims of a token.
type ClaimsConfig struct {
	// The login. A user who is stored here under it has the rights and limits that are stored.
	Login string `yaml:"login"`
	// The scopes of someone who is not stored here: a list, or words in one text. Without
	// this key nobody who is not stored is let in.
	Scopes string `yaml:"scopes"`
	// His role: `admin` must be among its words, or he is a user.
	Role string `yaml:"role"`
	// The buckets, and prefixes, that he is held to. With this key a token must name some.
	Buckets string `yaml:"buckets"`
}

// UploadsConfig is about multipart uploads.
type UploadsConfig struct {
	// One that was not completed in so long is aborted, on every backend; 0: none ever is.
	Age Duration `yaml:"age"`
	// How long a backend may work on putting one together, and a second more for every
	// 32 MiB. What it has not answered by then takes twice as long to settle.
	Complete Duration `yaml:"complete"`
	// Uploads on a backend that s3mirror knows nothing of, and that are older, are thrown
	// away: they are what crashes and lost answers leave behind. Longer than the healing of
	// the largest object takes.
	Stray Duration `yaml:"stray"`
	// Most uploads of one bucket that are begun and neither completed nor aborted; 0: no
	// limit. Whoever begins another is answered 503 SlowDown. Each open upload is kept in the
	// log and on every backend, so without a limit whoever may write can fill them. Of several
	// nodes each counts for itself twice a minute, and may let in a few more meanwhile.
	MaxOpen int `yaml:"max_open"`
}

// HealConfig is the pace of the healer. Its traffic is always below clients'.
type HealConfig struct {
	// Most bytes a second that heals write to one backend, as a size; 0: no limit.
	BytesPerSecond Size `yaml:"bytes_per_second"`
	// Most requests a second that heals send to one backend; 0: no limit.
	RequestsPerSecond int `yaml:"requests_per_second"`
	// The longest pause before a lagging key is tried again once its backend is up.
	Interval Duration `yaml:"interval"`
}

// TracesConfig sends a span of each S3 request, of each phase of a write and of each
// request to a backend.
type TracesConfig struct {
	// The collector that takes OTLP over HTTP, as in `http://127.0.0.1:4318`; `/v1/traces`
	// is added where it names no path. Empty: no traces, and no cost. The environment's
	// `OTEL_EXPORTER_OTLP_HEADERS` may hold its credentials.
	Endpoint string `yaml:"endpoint"`
	// The share of requests whose traces are kept, 0 to 1. A request with a `traceparent` is
	// kept as that says, whoever sent it.
	Sample float64 `yaml:"sample"`
}

// The engines of the log.
const (
	enginePebble    = "pebble"
	engineCassandra = "cassandra"
)

// The modes of replication.
const (
	modeActive   = "active"
	modeDisabled = "disabled"
)

// defaultConfig is the configuration before the file is laid over it.
func defaultConfig() Config {
	return Config{
		DataDir: "./s3mirror-data",
		S3: S3Config{
			Listen:    "127.0.0.1:9000",
			Region:    "us-east-1",
			Memory:    96 << 20,
			PerUpload: 1 << 20,

			SignatureV2: true,
			Anonymous:   true,
		},
		Admin: AdminConfig{Listen: "127.0.0.1:9001"},
		Log: LogConfig{
			Engine:    enginePebble,
			Retention: Duration(time.Hour),
			History:   Duration(30 * 24 * time.Hour),
		},
		Replication: ReplicationConfig{
			Ack:     AckRule{Word: "any"},
			Mode:    modeActive,
			Settle:  Duration(5 * time.Minute),
			Lease:   Duration(10 * time.Second),
			Backlog: 1_000_000,
		},
		Uploads: UploadsConfig{
			Age:      Duration(7 * 24 * time.Hour),
			Complete: Duration(replica.DefaultWork),
			Stray:    Duration(replica.DefaultStray),
			MaxOpen:  10_000,
		},
		Heal:   HealConfig{Interval: Duration(5 * time.Second)},
		Traces: TracesConfig{Sample: 1},
	}
}

// setDefaults fills what depends on other keys, after the file was read.
func (c *Config) setDefaults() {
	for i := range c.Backends {
		b := &c.Backends[i]
		if b.Region == "" {
			b.Region = "us-east-1"
		}
		if b.PathStyle == nil {
			yes := true
			b.PathStyle = &yes
		}
		if b.PayloadMode == "" {
			b.PayloadMode = payloadAuto
		}
		if b.Settle == nil {
			settle := c.Replication.Settle
			b.Settle = &settle
		}
	}
	for i := range c.Issuers {
		issuer := &c.Issuers[i]
		issuer.Claims.Login = cmp.Or(issuer.Claims.Login, "sub")
		issuer.MaxLife = cmp.Or(issuer.MaxLife, Duration(24*time.Hour))
	}
	if k := c.Log.Cassandra; k != nil {
		k.Port = cmp.Or(k.Port, 9042)
		k.Datacenter = cmp.Or(k.Datacenter, "datacenter1")
		k.Keyspace = cmp.Or(k.Keyspace, "s3mirror")
		k.ReplicationFactor = cmp.Or(k.ReplicationFactor, 3)
		k.Consistency = cmp.Or(k.Consistency, consistencySerial)
	}
	if len(c.Replication.ReplicaSet) == 0 {
		c.Replication.ReplicaSet = c.backendNames()
	}
}

// backendNames lists the backends in the order of the file.
func (c *Config) backendNames() []string {
	names := make([]string, len(c.Backends))
	for i, b := range c.Backends {
		names[i] = b.Name
	}
	return names
}

// bucket returns the settings in force for one bucket: its own, else the
// defaults.
func (c *Config) bucket(name string) BucketConfig {
	b := c.Buckets[name]
	if b.Ack == nil {
		b.Ack = &c.Replication.Ack
	}
	if len(b.ReplicaSet) == 0 {
		b.ReplicaSet = c.Replication.ReplicaSet
	}
	return b
}

// realBucket is the name of a bucket on one backend.
func (c *Config) realBucket(name, backend string) string {
	if mapped, ok := c.Buckets[name].Names[backend]; ok {
		return mapped
	}
	return name
}

// longestSettle is the settle time that retention has to cover.
func (c *Config) longestSettle() time.Duration {
	longest := time.Duration(c.Replication.Settle)
	for _, b := range c.Backends {
		longest = max(longest, time.Duration(*b.Settle))
	}
	return longest
}

// maxSkew is assumption A4: the clocks of two nodes differ by less.
const maxSkew = time.Second

// minRetention is what log.retention must exceed: a row must outlive a request
// that lands as late as A3 allows, after the lease of the write that released
// it, as two clocks may judge it, and reads trust half of the retention only.
func (c *Config) minRetention() time.Duration {
	return 2 * (c.longestSettle() + time.Duration(c.Replication.Lease) + maxSkew)
}

// times are the protocol's durations. Those that the configuration does not
// name follow from it, or are the defaults of docs/reliability.md 4.1.
func (c *Config) times() commit.Times {
	settle, lease := c.longestSettle(), time.Duration(c.Replication.Lease)
	return commit.Times{
		Lease:     lease,
		Margin:    releaseMargin(lease),
		Settle:    settle,
		Gap:       min(6*time.Second, max(time.Second, settle/10)),
		Retention: time.Duration(c.Log.Retention),
		Keep:      60 * time.Second,
		LockWait:  10 * time.Second,
		Grace:     2 * time.Second,
		HelpWait:  50 * time.Millisecond,
		UploadAge: time.Duration(c.Uploads.Age),
		Remember:  24 * time.Hour,
		Refused:   time.Hour,
	}
}

// releaseMargin is the time that must be left of a write's lease when its tails
// are let go: a stall of up to the margin between the check and the last byte
// still falls within the lease. Four seconds; a shorter lease keeps the share
// that four seconds are of the default one. This is the only place that
// computes it.
func releaseMargin(lease time.Duration) time.Duration {
	return min(4*time.Second, lease*2/5)
}
