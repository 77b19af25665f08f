package grantfire

import (
	"context"
	"errors"
	"maps"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// ReadControl implements [grant.Store].
func (s *Store) ReadControl(ctx context.Context, name string) (grant.Control, error) {
	doc, err := read(ctx, s.client.Collection(Controls).Doc(name))
	if err != nil {
		return grant.Control{}, failed(ctx, "read a control document", err)
	}
	return grant.Control{Name: name, Document: doc.Data(), Revision: revisionOf(doc.UpdateTime)}, nil
}

// WriteControl implements [grant.Store].
func (s *Store) WriteControl(ctx context.Context, was, now grant.Control) (grant.Control, error) {
	if was.Name != now.Name {
		return grant.Control{}, errors.New("grantfire: write a control document: was and now have two names")
	}
	var all []grant.Field
	for name := range was.Document {
		if _, stays := now.Document[name]; !stays {
			all = append(all, grant.Field{Path: []string{name}})
		}
	}
	for name, value := range now.Document {
		all = append(all, grant.Field{Path: []string{name}, Value: value})
	}
	if len(all) == 0 { // an update must name a field
		all = []grant.Field{{Path: []string{"none"}}}
	}
	var err error
	now.Revision, err = write(ctx, s.client.Collection(Controls).Doc(now.Name), was.Revision, now.Document, all)
	if err != nil {
		return grant.Control{}, failed(ctx, "write a control document", err)
	}
	now.Document = maps.Clone(now.Document)
	return now, nil
}
