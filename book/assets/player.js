// Steps through a recorded run: the picture, the trace and the listing light up together.
//
// The page holds the places of every event (`data-steps`): x, lane and goroutine lane in both
// forms of the picture (`p`), line of the trace, line of the listing where one is known. This
// script only moves the light. Arrow keys step, Space plays; without the script the picture and texts remain.
"use strict";

(() => {
    const SVG = "http://www.w3.org/2000/svg";
    const PACE = 700;
    const { make } = safepoint;
    const calm = matchMedia("(prefers-reduced-motion: reduce)");

    // Scrolls inside a box and never the page.
    function scroll(box, left, top) {
        box.scrollTo({ left, top, behavior: calm.matches ? "auto" : "smooth" });
    }

    class Player {
        constructor(place) {
            this.place = place;
            this.steps = JSON.parse(place.dataset.steps);
            this.at = -1;
            this.timer = null;
            this.figure = place.querySelector(".sp-figure");
            // One for a wide page and one for a narrow one; the style sheet shows one of them.
            this.pictures = Array.from(this.figure.querySelectorAll("svg"));
            this.trace = place.querySelector(".sp-trace-lines");
            this.listing = place.querySelector(".sp-listing-lines");
            place.querySelectorAll(".sp-part").forEach(part => {
                part.open = true;
            });
            this.build();
            this.lights = this.pictures.map(svg => this.draw(svg));
        }

        build() {
            const place = this.place;
            place.tabIndex = 0;
            place.setAttribute("role", "group");
            place.setAttribute("aria-label", "Trace player: " + place.dataset.title);
            // The player itself takes the keys; the picture follows the light.
            this.figure.tabIndex = -1;
            const bar = make("div", "sp-bar sp-player-bar");
            const button = (text, label, action) => {
                const element = make("button", "sp-button", text);
                element.type = "button";
                element.setAttribute("aria-label", label);
                element.addEventListener("click", action);
                bar.append(element);
                return element;
            };
            button("Back", "One event back", () => this.go(this.at - 1));
            button("Next", "One event on", () => this.go(this.at + 1));
            this.playButton = button("Play", "Play", () => this.toggle());
            this.slider = make("input", "sp-slider");
            this.slider.type = "range";
            this.slider.min = "0";
            this.slider.max = String(this.steps.length - 1);
            this.slider.value = "0";
            this.slider.setAttribute("aria-label", "Event");
            this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
            bar.append(this.slider);
            this.text = make("p", "sp-now", "Press Next, or use the arrow keys, to go through the run event by event.");
            this.text.setAttribute("role", "status");
            this.state = make("p", "sp-now-state");
            const help = make("p", "sp-keys", "Keys: ← → event; Shift with ← → the same goroutine; ↑ ↓ the same lane; Home, End; Space plays.");
            help.id = place.id + "-keys";
            place.setAttribute("aria-describedby", help.id);
            this.figure.after(bar, this.text, this.state, help);
            place.addEventListener("keydown", event => this.key(event));
            place.addEventListener("click", event => this.click(event));
        }

        // A click on a line of the trace or on the picture goes to that event, and the keys
        // work from then on: without the focus they would turn the page.
        click(event) {
            if (event.target.closest("button, input, summary, a")) {
                return;
            }
            this.place.focus({ preventScroll: true });
            const line = event.target.closest(".sp-trace-lines .sp-l");
            const picture = this.pictures.findIndex(svg => svg.contains(event.target));
            let index = -1;
            if (line) {
                const number = Array.from(this.trace.querySelectorAll(".sp-l")).indexOf(line);
                index = this.steps.findIndex(step => step.t === number);
            } else if (picture >= 0) {
                index = this.nearest(picture, event);
            }
            if (index >= 0) {
                this.pause();
                this.go(index);
            }
        }

        // The event whose place in the picture is nearest to a click.
        nearest(picture, event) {
            const svg = this.pictures[picture];
            const box = svg.getBoundingClientRect();
            const scale = svg.viewBox.baseVal.width / box.width;
            const x = (event.clientX - box.left) * scale;
            const y = (event.clientY - box.top) * scale;
            let best = -1;
            let least = Infinity;
            this.steps.forEach((step, index) => {
                const [at, ...heights] = step.p[picture];
                for (const height of heights) {
                    const far = height === null ? Infinity : Math.hypot(at - x, height - y);
                    if (far < least) {
                        [best, least] = [index, far];
                    }
                }
            });
            return best;
        }

        draw(svg) {
            const shape = (name, attributes) => {
                const element = document.createElementNS(SVG, name);
                for (const [key, value] of Object.entries(attributes)) {
                    element.setAttribute(key, value);
                }
                element.setAttribute("visibility", "hidden");
                svg.append(element);
                return element;
            };
            // The line goes down to the axis; below it is the key.
            // It is read from the path, because the picture that is not shown has no box.
            const axis = /^M\S+ ([\d.]+)/.exec(svg.querySelector(".sp-axis").getAttribute("d"));
            return {
                line: shape("path", { class: "sp-cursor", d: "M0 0V" + axis[1] }),
                spots: [0, 1].map(() => shape("circle", { class: "sp-here", r: 8, cx: 0 })),
            };
        }

        // The next event in a direction for which `same` holds, or this one.
        seek(direction, same) {
            for (let i = this.at + direction; i >= 0 && i < this.steps.length; i += direction) {
                if (same(this.steps[i])) {
                    return i;
                }
            }
            return this.at;
        }

        key(event) {
            // mdBook turns pages with the arrow keys.
            event.stopPropagation();
            const target = event.target;
            const inside = target instanceof HTMLInputElement || target.closest("pre");
            if (inside || event.ctrlKey || event.altKey || event.metaKey) {
                return;
            }
            const now = this.steps[this.at];
            const sameG = step => !now || (now.g !== null && step.g === now.g);
            const sameLane = step => !now || (now.l !== null && step.l === now.l);
            const steps = {
                ArrowRight: () => event.shiftKey ? this.seek(1, sameG) : this.at + 1,
                ArrowLeft: () => event.shiftKey ? this.seek(-1, sameG) : this.at - 1,
                ArrowDown: () => this.seek(1, sameLane),
                ArrowUp: () => this.seek(-1, sameLane),
                Home: () => 0,
                End: () => this.steps.length - 1,
            };
            if (steps[event.key]) {
                event.preventDefault();
                this.pause();
                this.go(steps[event.key]());
            } else if (event.key === " " && !(target instanceof HTMLButtonElement) && !target.closest("summary")) {
                event.preventDefault();
                this.toggle();
            }
        }

        go(index) {
            this.at = Math.max(0, Math.min(index, this.steps.length - 1));
            const step = this.steps[this.at];
            this.slider.value = String(this.at);
            this.slider.setAttribute("aria-valuetext", step.e);
            this.text.textContent = "Event " + (this.at + 1) + " of " + this.steps.length + ": " + step.e;
            this.state.textContent = step.n;
            this.pictures.forEach((svg, picture) => {
                const [x, ...heights] = step.p[picture];
                const { line, spots } = this.lights[picture];
                line.setAttribute("transform", "translate(" + x + " 0)");
                line.setAttribute("visibility", "visible");
                heights.forEach((y, i) => {
                    spots[i].setAttribute("visibility", y === null ? "hidden" : "visible");
                    spots[i].setAttribute("cx", x);
                    spots[i].setAttribute("cy", y === null ? 0 : y);
                });
                const shown = svg.getBoundingClientRect().width;
                if (shown > 0) {
                    const scale = shown / svg.viewBox.baseVal.width;
                    scroll(this.figure, x * scale - this.figure.clientWidth / 2, 0);
                }
            });
            this.light(this.trace, step.t);
            this.light(this.listing, step.s);
        }

        light(box, number) {
            if (!box) {
                return;
            }
            box.querySelectorAll(".sp-lit").forEach(line => {
                line.classList.remove("sp-lit");
                line.removeAttribute("aria-current");
            });
            const line = number === null ? null : box.querySelectorAll(".sp-l")[number];
            if (line) {
                line.classList.add("sp-lit");
                line.setAttribute("aria-current", "true");
                const down = line.getBoundingClientRect().top - box.getBoundingClientRect().top;
                scroll(box, 0, box.scrollTop + down - box.clientHeight / 2);
            }
        }

        toggle() {
            if (this.timer) {
                this.pause();
                return;
            }
            if (this.at >= this.steps.length - 1) {
                this.at = -1;
            }
            this.playButton.textContent = "Pause";
            this.playButton.setAttribute("aria-label", "Pause");
            // Nobody can listen as fast as it plays.
            this.text.setAttribute("aria-live", "off");
            this.timer = setInterval(() => this.next(), PACE);
            this.next();
        }

        next() {
            this.go(this.at + 1);
            if (this.at >= this.steps.length - 1) {
                this.pause();
            }
        }

        pause() {
            clearInterval(this.timer);
            this.timer = null;
            this.playButton.textContent = "Play";
            this.playButton.setAttribute("aria-label", "Play");
            this.text.removeAttribute("aria-live");
        }
    }

    document.querySelectorAll(".sp-player[data-steps]").forEach(place => new Player(place));
})();
