package s3

// What every bucket answers when it is asked for a configuration that cannot be
// set here: SDKs, Terraform and consoles ask for all of them, and take AWS's
// answer for "none" or "the default" as such.

// absences are the errors that say that there is no such configuration.
var absences = map[OperationName]Code{
	GetBucketEncryption:             SSEConfigurationNotFound,
	GetBucketLifecycleConfiguration: NoSuchLifecycleConfiguration,
	GetBucketReplication:            ReplicationNotFound,
	GetObjectLockConfiguration:      ObjectLockConfigurationNotFound,
}

// defaults are the documents that say that nothing was changed: the root and
// what stands in it.
var defaults = map[OperationName]struct{ root, element, value string }{
	GetBucketAccelerateConfiguration:   {root: "AccelerateConfiguration"},
	GetBucketLogging:                   {root: "BucketLoggingStatus"},
	GetBucketNotificationConfiguration: {root: "NotificationConfiguration"},
	GetBucketRequestPayment:            {root: "RequestPaymentConfiguration", element: "Payer", value: "BucketOwner"},
	GetBucketVersioning:                {root: "VersioningConfiguration"}, // never switched on
}

// DefaultConfiguration is the answer to an operation that asks for a
// configuration which no bucket here has: AWS's document for the default, or the
// *Error for none; NotImplemented for every other operation.
func DefaultConfiguration(name OperationName) ([]byte, error) {
	if code, ok := absences[name]; ok {
		return nil, Err(code)
	}
	d, ok := defaults[name]
	if !ok {
		return nil, Err(NotImplemented)
	}
	x := newXML(192)
	x.openNamespace(d.root)
	if d.element != "" {
		x.text(d.element, d.value)
	}
	x.close(d.root)
	return x.bytes(), nil
}
