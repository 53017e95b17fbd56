// The stage switch: of one program under several stages, one is seen at a time.
//
// The page holds all of them, below each other. This script puts radio buttons above them,
// one a stage, and hides the others.
"use strict";

(() => {
    const { keepKeys, make } = safepoint;

    document.querySelectorAll(".sp-stages").forEach(place => {
        const stages = Array.from(place.querySelectorAll(".sp-stage"));
        const bar = make("fieldset", "sp-switch");
        bar.append(make("legend", "sp-switch-title", "Run it under"));
        const show = chosen => stages.forEach(stage => {
            stage.hidden = stage !== chosen;
        });
        stages.forEach((stage, index) => {
            const label = make("label", "sp-switch-stage");
            const input = make("input", "");
            input.type = "radio";
            input.name = place.id;
            input.value = stage.dataset.stage;
            input.checked = index === 0;
            input.addEventListener("change", () => show(stage));
            label.append(input, make("span", "", stage.dataset.stage));
            bar.append(label);
        });
        // The arrow keys go from stage to stage; mdBook turns pages with them.
        keepKeys(bar);
        place.prepend(bar);
        show(stages[0]);
    });
})();
