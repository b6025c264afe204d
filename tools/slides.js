// A canvas of fixed size: blocks.py counts lines in its pixels. Slides keep their place in the address.
Reveal.initialize({
  width: 1280, height: 720, margin: 0.02, center: false, hash: true, transition: "none",
  slideNumber: "c/t", plugins: [RevealNotes],
});
