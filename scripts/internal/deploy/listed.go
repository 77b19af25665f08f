package main

import "strings"

// What gcloud and aws list, as far as it matters here.

type listedSecret struct {
	Name        string `json:"name"`
	Replication struct {
		Automatic   *struct{} `json:"automatic"`
		UserManaged struct {
			Replicas []struct {
				Location string `json:"location"`
			} `json:"replicas"`
		} `json:"userManaged"`
	} `json:"replication"`
}

// replication is where the secret is kept: automatic, or locations.
func (l listedSecret) replication() string {
	if l.Replication.Automatic != nil {
		return "automatic"
	}
	var locations []string
	for _, replica := range l.Replication.UserManaged.Replicas {
		locations = append(locations, replica.Location)
	}
	return strings.Join(locations, ",")
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
	Name   string `json:"name"`
	Fields []struct {
		FieldPath string `json:"fieldPath"`
		Order     string `json:"order"`
	} `json:"fields"`
}

type listedField struct {
	Name        string `json:"name"`
	IndexConfig struct {
		Indexes []listedIndex `json:"indexes"`
	} `json:"indexConfig"`
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
	Name  string `json:"name"`
	State string `json:"state"`
}

type listedProvider struct {
	Name               string            `json:"name"`
	State              string            `json:"state"`
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
	Environment   struct {
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
