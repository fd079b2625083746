"use strict";
(async () => {
	const at = (id) => document.getElementById(id);
	const given = { trust: null, bundle: null, artifact: null };
	let fingerprint = "", busy = false;

	const say = (id, text, mood) => {
		at(id).textContent = text;
		at(id).className = "says" + (mood ? " " + mood : "");
	};
	const size = (n) => n < 1e4 ? n + " bytes" : n < 1e7 ? (n / 1e3).toFixed(0) + " kB" : (n / 1e6).toFixed(0) + " MB";

	// The program, unpacked and started once.
	const started = (async () => {
		const text = atob(at("program").textContent.trim());
		const packed = new Uint8Array(text.length);
		for (let i = 0; i < text.length; i++) {
			packed[i] = text.charCodeAt(i);
		}
		const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
		const go = new Go();
		const made = await WebAssembly.instantiate(await new Response(plain).arrayBuffer(), go.importObject);
		const ended = go.run(made.instance);
		ended.then(() => fail("The verifier has stopped. Load the page again."), (e) => fail("The verifier has stopped: " + e.message));
	})();

	const fail = (text) => {
		conclude("bad", "NOT VERIFIED", "Nothing was decided: " + text, null);
	};

	// conclude shows what came out. An older verdict must never stand beside newer files.
	const conclude = (mood, verdict, means, said) => {
		const { text, verdict: whole, report } = said || { text: "", verdict: "", report: "" };
		at("verdict").textContent = verdict;
		at("verdict").className = mood;
		at("means").textContent = means;
		at("text").textContent = text;
		at("words").hidden = text === "";
		at("words").open = report === "";
		at("report").hidden = report === "";
		at("report").srcdoc = report;
		offer("save", whole, "application/json");
		offer("save-report", report, "text/html");
		at("result").hidden = false;
		at("verdict").focus();
	};

	// offer makes a link that saves a text.
	const offer = (id, text, type) => {
		URL.revokeObjectURL(at(id).href);
		at(id).hidden = text === "";
		if (text !== "") {
			at(id).href = URL.createObjectURL(new Blob([text], { type }));
		}
	};

	// typed is the fingerprint that was typed in from the paper.
	const typed = () => at("print").value.replace(/\s/g, "").toLowerCase().replace(/^sha256:/, "");

	// another says whether the trust file is another than that of the paper: then
	// nothing is verified by it.
	const another = () => typed() !== "" && fingerprint !== "" && typed() !== fingerprint.replace(/^sha256:/, "");

	const ready = () => {
		at("verify").disabled = busy || !given.trust || !given.bundle || another();
	};

	const compare = () => {
		if (typed() === "" || fingerprint === "") {
			say("print-says", "");
		} else if (another()) {
			say("print-says", "NOT the same: do not believe this trust file. Nothing is verified by it.", "bad");
			at("result").hidden = true;
		} else {
			say("print-says", "The same: this is the trust file of the paper.", "good");
		}
		ready();
	};

	const take = async (what, file) => {
		given[what] = file;
		at("result").hidden = true;
		if (!file) {
			say(what + "-says", "");
			if (what === "trust") {
				fingerprint = "";
				at("paper").hidden = true;
			}
			ready();
			return;
		}
		say(what + "-says", file.name + ", " + size(file.size));
		if (what === "trust") {
			fingerprint = "";
			at("paper").hidden = true;
			try {
				await started;
				const trust = await custodyTrust(file);
				if (given.trust !== file) {
					return;
				}
				fingerprint = trust.fingerprint;
				say("trust-says", "Log " + trust.origin + ", fingerprint " + trust.fingerprint + ": compare it with the one on paper.");
				at("paper").hidden = false;
				compare();
			} catch (e) {
				if (given.trust === file) {
					given.trust = null;
					say("trust-says", file.name + " is not a trust file: " + e.message, "bad");
				}
			}
		}
		ready();
	};

	for (const what of Object.keys(given)) {
		at(what).addEventListener("change", () => take(what, at(what).files[0] || null));
	}
	for (const place of document.querySelectorAll(".drop")) {
		place.addEventListener("dragover", (e) => { e.preventDefault(); place.classList.add("over"); });
		place.addEventListener("dragleave", () => place.classList.remove("over"));
		place.addEventListener("drop", (e) => {
			e.preventDefault();
			place.classList.remove("over");
			const input = at(place.dataset.for);
			input.files = e.dataTransfer.files;
			take(place.dataset.for, input.files[0] || null);
		});
	}
	// A file that is dropped beside a field must not replace the page.
	for (const event of ["dragover", "drop"]) {
		document.addEventListener(event, (e) => e.preventDefault());
	}
	at("print").addEventListener("input", compare);

	at("verify").addEventListener("click", async () => {
		const { trust, bundle, artifact } = given;
		busy = true;
		ready();
		at("result").hidden = true;
		const bar = at("progress");
		bar.max = bundle.size + (artifact ? artifact.size : 0);
		bar.value = 0;
		bar.hidden = false;
		try {
			await started;
			const said = await custodyVerify(trust, bundle, artifact, (n) => { bar.value += n; });
			if (trust !== given.trust || bundle !== given.bundle || artifact !== given.artifact) {
				fail("the files were changed meanwhile. Verify again.");
			} else if (another()) {
				fail("the trust file is not that of the paper: its fingerprint is " + fingerprint + ". Nothing was verified.");
			} else if (said.verified) {
				conclude("good", "VERIFIED", "by the trust file with fingerprint " + fingerprint, said);
			} else {
				conclude("bad", "NOT VERIFIED", "by the trust file with fingerprint " + fingerprint, said);
			}
		} catch (e) {
			fail(e.message);
		}
		bar.hidden = true;
		busy = false;
		ready();
	});

	try {
		await started;
	} catch (e) {
		fail("this browser cannot run the verifier (" + e.message + "). Use a newer one, or the program custody-verify.");
	}
})();
