package alexa

func decodeHeader(raw []byte) (Header, error) {
	var namespace, name, version, instance, correlation, messageID []byte
	err := pick(raw, nil, member{"namespace", &namespace}, member{"name", &name}, member{"payloadVersion", &version},
		member{"instance", &instance}, member{"correlationToken", &correlation}, member{"messageId", &messageID})
	if err != nil {
		return Header{}, err
	}
	if !absent(messageID) {
		return Header{}, wrong("messageId", leaveOut)
	}
	var h Header
	if h.Namespace, err = required("namespace", namespace); err != nil {
		return Header{}, err
	}
	if h.Name, err = required("name", name); err != nil {
		return Header{}, err
	}
	if h.PayloadVersion, err = optional("payloadVersion", version); err != nil {
		return Header{}, err
	}
	if h.Instance, err = optional("instance", instance); err != nil {
		return Header{}, err
	}
	h.CorrelationToken, err = optional("correlationToken", correlation)
	return h, err
}

// header holds a header against what is known of the kind.
func (d *decoder) header(h *Header, kind Kind) error {
	const path = "event.header"
	if kind.Retired != "" {
		d.note(warning(ruleInterfaces, path+".namespace", "retired since %s", kind.Retired))
	}
	if kind.note != "" {
		d.note(warning(page(kind.source()), path+".namespace", "%s", kind.note))
	}
	d.nearKind(kind)
	if kind.Synchronous != "" {
		return d.tolerate(breaks(ruleEvents, path+".name", "no asynchronous event: %s", kind.Synchronous))
	}
	switch {
	case h.PayloadVersion == kind.Version:
	case h.PayloadVersion == "":
		h.PayloadVersion = kind.Version
		if !kind.known {
			d.note(warning(ruleInterfaces, path+".payloadVersion",
				"missing: %q is sent, name the version of the interface's messages", kind.Version))
		}
	case kind.official:
		if err := d.tolerate(breaks(kind.rule(), path+".payloadVersion", "must be %q", kind.Version)); err != nil {
			return err
		}
	case kind.known:
		d.note(warning(kind.rule(), path+".payloadVersion", "ought to be %q", kind.Version))
	}
	if h.Instance != "" && kind.official {
		d.note(warning(ruleSchema, path+".instance", "not in this kind of event: leave it out"))
	}
	switch {
	case h.Instance != "":
	case kind.Instance == Required:
		if err := d.tolerate(breaks(kind.rule(), path+".instance", "missing: an endpoint may have several of this interface")); err != nil {
			return err
		}
	case kind.Instance == Expected:
		d.note(warning(kind.rule(), path+".instance", "missing"))
	}
	return d.correlation(h.CorrelationToken, kind)
}

// nearKind warns of a kind that is not known, and is nearly one of Alexa's.
func (d *decoder) nearKind(kind Kind) {
	if _, known := kindIndex[kindName{kind.Namespace, kind.Name}]; known {
		return
	}
	if _, known := payloadVersions[kind.Namespace]; !known {
		if problem := nearInterface(kind.Namespace); problem != "" {
			d.note(warning(ruleInterfaces, "event.header.namespace", "%s", problem))
		}
		return
	}
	var names []string
	for _, k := range kinds {
		if k.Namespace == kind.Namespace {
			names = append(names, k.Name)
		}
	}
	if word := Nearest(kind.Name, names); word != "" {
		d.note(warning(ruleEvents, "event.header.name", "unknown: did you mean %s?", word))
	}
}

func (d *decoder) correlation(token string, kind Kind) error {
	const path = "event.header.correlationToken"
	const missing = "missing: it says which directive this answers"
	switch {
	case token == "" && kind.Answer == Required:
		return d.tolerate(breaks(ruleEvents, path, missing))
	case token == "" && kind.Answer == Expected:
		d.note(warning(ruleEvents, path, missing))
	case token != "" && kind.Answer == None:
		d.note(warning(ruleEvents, path, "has no meaning in an event that no directive asked for: leave it out"))
	}
	return nil
}
