package main

// What gcloud and aws list, as far as it matters here.

type listedAccount struct {
	Email    string `json:"email"`
	Disabled bool   `json:"disabled"`
}

type listedDatabase struct {
	Name                          string `json:"name"`
	LocationID                    string `json:"locationId"`
	Type                          string `json:"type"`
	DatabaseEdition               string `json:"databaseEdition"`
	DeleteProtectionState         string `json:"deleteProtectionState"`
	PointInTimeRecoveryEnablement string `json:"pointInTimeRecoveryEnablement"`
}

type listedIndex struct {
	Name       string `json:"name"`
	QueryScope string `json:"queryScope"`
	State      string `json:"state"`
	Fields     []struct {
		FieldPath   string `json:"fieldPath"`
		Order       string `json:"order"`
		ArrayConfig string `json:"arrayConfig"`
	} `json:"fields"`
}

type listedField struct {
	Name        string `json:"name"`
	IndexConfig struct {
		Indexes []listedIndex `json:"indexes"`
	} `json:"indexConfig"`
	TTLConfig struct {
		State string `json:"state"`
	} `json:"ttlConfig"`
}

type listedTopic struct {
	Name                     string `json:"name"`
	MessageRetentionDuration string `json:"messageRetentionDuration"`
	MessageStoragePolicy     struct {
		AllowedPersistenceRegions []string `json:"allowedPersistenceRegions"`
	} `json:"messageStoragePolicy"`
}

type listedSubscription struct {
	Name                     string `json:"name"`
	Topic                    string `json:"topic"`
	AckDeadlineSeconds       int    `json:"ackDeadlineSeconds"`
	MessageRetentionDuration string `json:"messageRetentionDuration"`
	Filter                   string `json:"filter"`
	EnableMessageOrdering    bool   `json:"enableMessageOrdering"`
	ExpirationPolicy         struct {
		TTL string `json:"ttl"`
	} `json:"expirationPolicy"`
	RetryPolicy struct {
		MinimumBackoff string `json:"minimumBackoff"`
		MaximumBackoff string `json:"maximumBackoff"`
	} `json:"retryPolicy"`
	DeadLetterPolicy struct {
		DeadLetterTopic     string `json:"deadLetterTopic"`
		MaxDeliveryAttempts int    `json:"maxDeliveryAttempts"`
	} `json:"deadLetterPolicy"`
	PushConfig struct {
		PushEndpoint string    `json:"pushEndpoint"`
		OidcToken    oidcToken `json:"oidcToken"`
	} `json:"pushConfig"`
}

type oidcToken struct {
	ServiceAccountEmail string `json:"serviceAccountEmail"`
	Audience            string `json:"audience"`
}

type listedJob struct {
	Name            string `json:"name"`
	State           string `json:"state"`
	Schedule        string `json:"schedule"`
	TimeZone        string `json:"timeZone"`
	AttemptDeadline string `json:"attemptDeadline"`
	RetryConfig     struct {
		RetryCount         int    `json:"retryCount"`
		MinBackoffDuration string `json:"minBackoffDuration"`
		MaxBackoffDuration string `json:"maxBackoffDuration"`
	} `json:"retryConfig"`
	HTTPTarget struct {
		URI        string    `json:"uri"`
		HTTPMethod string    `json:"httpMethod"`
		OidcToken  oidcToken `json:"oidcToken"`
	} `json:"httpTarget"`
}

type listedPool struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Disabled bool   `json:"disabled"`
}

type listedProvider struct {
	Name               string            `json:"name"`
	State              string            `json:"state"`
	Disabled           bool              `json:"disabled"`
	AttributeMapping   map[string]string `json:"attributeMapping"`
	AttributeCondition string            `json:"attributeCondition"`
	AWS                struct {
		AccountID string `json:"accountId"`
	} `json:"aws"`
}

type policy struct {
	Bindings []policyBinding `json:"bindings"`
}

type policyBinding struct {
	Role      string   `json:"role"`
	Members   []string `json:"members"`
	Condition struct {
		Expression string `json:"expression"`
	} `json:"condition"`
}

// listedLambda is a skill proxy, its role and its log.
type listedLambda struct {
	Description   string   `json:"Description"`
	Role          string   `json:"Role"`
	Runtime       string   `json:"Runtime"`
	Handler       string   `json:"Handler"`
	MemorySize    int      `json:"MemorySize"`
	Timeout       int      `json:"Timeout"`
	Architectures []string `json:"Architectures"`
	CodeSha256    string   `json:"CodeSha256"`
	State         string   `json:"State"`
	// LastUpdateStatus is Failed where what is shown is not what runs.
	LastUpdateStatus string `json:"LastUpdateStatus"`
	Environment      struct {
		Variables map[string]string `json:"Variables"`
	} `json:"Environment"`
	LoggingConfig struct {
		LogFormat string `json:"LogFormat"`
		LogGroup  string `json:"LogGroup"`
	} `json:"LoggingConfig"`

	role       bool
	assume     string
	logPolicy  string
	log        bool
	retention  int
	statements map[string]string // principal and skill by statement
}
