// The question boxes: radio buttons in place of the folds.
//
// Each fold holds a value, the verdict and the why. One chooses, presses Check, and reads
// the why of that choice; after that the folds can be had back, to compare them all.
"use strict";

(() => {
    const { make } = safepoint;

    function build(box) {
        const folds = Array.from(box.querySelectorAll(":scope > .sp-option"));
        if (folds.length === 0) {
            return;
        }
        const form = make("form", "sp-choices");
        const set = make("fieldset", "");
        set.append(make("legend", "", "Your prediction"));
        folds.forEach((fold, index) => {
            const label = make("label", "sp-radio");
            const radio = make("input", "");
            radio.type = "radio";
            radio.name = box.id;
            radio.value = String(index);
            label.append(radio, " ", make("span", "", fold.querySelector("summary").textContent));
            set.append(label);
            fold.hidden = true;
        });
        const bar = make("div", "sp-bar");
        const check = make("button", "sp-button", "Check");
        check.type = "submit";
        const all = make("button", "sp-button", "All choices and their reasons");
        all.type = "button";
        all.hidden = true;
        bar.append(check, all);
        const answer = make("div", "sp-answer");
        answer.setAttribute("role", "status");
        form.append(set, bar, answer);
        folds[0].before(form);
        safepoint.keepKeys(form);
        form.addEventListener("submit", event => {
            event.preventDefault();
            const chosen = set.querySelector("input:checked");
            if (!chosen) {
                answer.replaceChildren(make("p", "", "Choose one first."));
                return;
            }
            const fold = folds[Number(chosen.value)];
            const right = fold.classList.contains("sp-right");
            answer.className = "sp-answer " + (right ? "sp-answer-right" : "sp-answer-wrong");
            const parts = Array.from(fold.children).filter(part => part.tagName !== "SUMMARY");
            answer.replaceChildren(...parts.map(part => part.cloneNode(true)));
            all.hidden = false;
        });
        form.addEventListener("change", () => {
            answer.className = "sp-answer";
            answer.replaceChildren();
        });
        all.addEventListener("click", () => {
            folds.forEach(fold => {
                fold.hidden = false;
                fold.open = true;
            });
            all.hidden = true;
        });
    }

    document.querySelectorAll(".sp-predict").forEach(build);
})();
