package alexa

// vocabulary holds the words that nearly every event is made of, so that they
// are not copied out of each: what an interface or a property is called, and the
// causes.
var vocabulary = func() map[string]string {
	words := make(map[string]string)
	add := func(list ...string) {
		for _, word := range list {
			words[word] = word
		}
	}
	for _, kind := range kinds {
		add(kind.Namespace, kind.Name, kind.Version)
	}
	for namespace, properties := range valueShapes {
		add(namespace)
		for name := range properties {
			add(name)
		}
	}
	add(causes...)
	return words
}()

// shared is string(text), without a copy if it is a word of the vocabulary.
func shared(text []byte) string {
	if word, ok := vocabulary[string(text)]; ok {
		return word
	}
	return string(text)
}
