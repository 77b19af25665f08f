package acceptgrant

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/google/uuid"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/wait"
)

// linkedBefore reports whether the code that Login with Amazon refuses was
// exchanged by an earlier delivery of the same directive, and waits a little
// for one that is still at it.
func (f *Function) linkedBefore(ctx context.Context, key grant.Key, id string) bool {
	ctx, cancel := context.WithTimeout(ctx, duplicateTime)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		record, err := f.Store.Read(ctx, key)
		if g, ok := record.Grants[id]; err == nil && ok {
			return g.State != grant.Revoked
		}
		if wait.For(ctx, pause) != nil {
			return false
		}
	}
}

// answerSpace is the name space of the ids of answers.
var answerSpace = uuid.MustParse("0b2cf2f5-7c1c-4b8e-8f3f-3f1b7a0d9e55")

// answerID is the message id of the answer to a directive: made from the
// directive's, so that the answer to a repeated directive is the same.
func answerID(directive alexa.AcceptGrant) string {
	return uuid.NewHash(sha256.New(), answerSpace, []byte(directive.MessageID), 8).String()
}
