package alexa

import (
	"slices"
	"strings"
)

// causes are the values of cause.type: five from Amazon's pages, and two from its schema.
var causes = []string{"APP_INTERACTION", "PHYSICAL_INTERACTION", "PERIODIC_POLL", "RULE_TRIGGER", "VOICE_INTERACTION",
	"INVALID_CREDENTIALS", "SUBSCRIPTION_EXPIRED"}

// vocabulary holds the words that nearly every event has, so that decoding does not copy
// them: the names of interfaces and properties, and the causes.
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

// Nearest returns the word that name may be a misspelling of: one that differs only in
// case or in up to two letters. It returns the empty string if there is none, or if name
// is itself one of the words.
func Nearest(name string, words []string) string {
	if len(name) > longestWord || slices.Contains(words, name) {
		return ""
	}
	nearest, least := "", 3
	for _, word := range words {
		if d := distance(name, word); d < least && d <= len(word)/4 {
			nearest, least = word, d
		}
	}
	return nearest
}

const longestWord = 64

// distance returns the Levenshtein distance of two words regardless of case. Words that
// differ by more than two letters in length, and long words, count as three apart.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 || len(b) > longestWord {
		return 3
	}
	var row [longestWord + 1]int // distances of a[:i+1] and each b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i]|0x20 != b[j]|0x20 { // letters of one case
				replaced++
			}
			diagonal, row[j+1] = row[j+1], min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// didYouMean returns the suggestion of the nearest word, if there is one.
func didYouMean(name string, words []string) string {
	if word := Nearest(name, words); word != "" {
		return ": did you mean " + word + "?"
	}
	return ""
}

// oneOfWords returns the problem of a name that is not among the words.
func oneOfWords(words []string, name string) string {
	return "unknown, " + oneOfThese(words) + didYouMean(name, words)
}

func oneOfThese(words []string) string { return "one of " + strings.Join(words, ", ") }
