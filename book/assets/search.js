// Words that are not written in Latin letters can be found.
//
// mdBook's search cuts everything off the ends of a word that is not a Latin letter or a
// digit: of 抢占 nothing is left, neither in the index nor of what a reader types. The texts
// are in the index's store, so the words that were lost are added before the first search.
"use strict";

(() => {
    const lunr = window.elasticlunr;
    if (!lunr) {
        return;
    }
    const trimmer = token => token.replace(/^[^\p{L}\p{N}_]+/u, "").replace(/[^\p{L}\p{N}_]+$/u, "");
    trimmer.label = "trimmer";
    lunr.Pipeline.registeredFunctions.trimmer = trimmer;

    // The words of a text that begin and end with a letter which the index does not know.
    // Chinese does not part its words, so that each place in a run may begin one.
    function lost(text) {
        const found = new Map();
        const add = word => found.set(word, (found.get(word) || 0) + 1);
        for (const [run] of text.toLowerCase().matchAll(/\p{L}+/gu)) {
            if (/[0-9a-z]/.test(run)) {
                continue;
            }
            const letters = Array.from(run);
            const starts = /\p{Script=Han}/u.test(run) ? letters.length : 1;
            for (let i = 0; i < starts; i++) {
                add(letters.slice(i).join(""));
            }
        }
        return found;
    }

    const known = new WeakSet();
    function complete(index) {
        if (known.has(index)) {
            return;
        }
        known.add(index);
        // An index that was loaded before this script has the old function.
        const steps = index.pipeline._queue;
        steps.forEach((step, i) => steps[i] = step.label === trimmer.label ? trimmer : step);
        for (const [ref, texts] of Object.entries(index.documentStore.docs)) {
            for (const field of index.getFields()) {
                for (const [word, count] of lost(texts[field] || "")) {
                    index.index[field].addToken(word, { ref, tf: Math.sqrt(count) });
                }
            }
        }
    }

    const search = lunr.Index.prototype.search;
    lunr.Index.prototype.search = function (...what) {
        complete(this);
        return search.apply(this, what);
    };

    // The address of a page can ask for a search, which may have been answered by now. The same
    // question is not answered twice, so another one, with the same answer, comes between.
    const bar = document.getElementById("mdbook-searchbar");
    const word = bar ? bar.value : "";
    if (/[^\x00-\x7f]/.test(word)) {
        for (const value of [word + ".", word]) {
            bar.value = value;
            bar.dispatchEvent(new Event("keyup"));
        }
    }
})();
