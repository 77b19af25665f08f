package alexa

func decodeHeader(raw []byte) (Header, error) {
	var namespace, name, version, instance, correlation, messageID []byte
	err := pick(raw, nil, member{"namespace", &namespace}, member{"name", &name}, member{"payloadVersion", &version},
		member{"instance", &instance}, member{"correlationToken", &correlation}, member{"messageId", &messageID})
	if err != nil {
		return Header{}, err
	}
	if messageID != nil {
		return Header{}, wrong("messageId", "is Gatepost's to give")
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
	if h.PayloadVersion == "" {
		h.PayloadVersion = KindOf(h.Namespace, h.Name).Version
	}
	if h.Instance, err = optional("instance", instance); err != nil {
		return Header{}, err
	}
	h.CorrelationToken, err = optional("correlationToken", correlation)
	return h, err
}

// header holds a header against what is known of the kind.
func (d *decoder) header(h Header, kind Kind) error {
	const path = "event.header"
	if kind.Retired != "" {
		d.note(warning(ruleInterfaces, path+".namespace", "retired since %s", kind.Retired))
	}
	if kind.Synchronous != "" {
		return d.tolerate(breaks(ruleEvents, path+".name", "no asynchronous event: %s", kind.Synchronous))
	}
	switch {
	case h.PayloadVersion == kind.Version:
	case kind.official:
		if err := d.tolerate(breaks(ruleSchema, path+".payloadVersion", "must be %q", kind.Version)); err != nil {
			return err
		}
	case kind.known:
		d.note(warning(kind.rule(), path+".payloadVersion", "ought to be %q", kind.Version))
	}
	if h.Instance != "" && kind.official {
		d.note(warning(ruleSchema, path+".instance", "not in this kind of event"))
	}
	if h.Instance == "" && kind.Instance == Required {
		if err := d.tolerate(breaks(kind.rule(), path+".instance", "missing")); err != nil {
			return err
		}
	}
	return d.correlation(h.CorrelationToken, kind)
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
		d.note(warning(ruleEvents, path, "has no meaning in an event that no directive asked for"))
	}
	return nil
}
