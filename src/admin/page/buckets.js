// Buckets: the 1000 buckets of a release, who is in gray, where the traffic is, and where one user is.
const bucketView = { release: null, cells: [], asked: null, key: null };

function makeBuckets() {
  const names = known.releases.map((release) => release.name);
  if (!isNew("buckets", names)) return;
  const place = byId("buckets");
  if (names.length === 0) return place.replaceChildren(make("div", { class: "card" }, empty(t("noReleases"), t("noReleasesWhy"))));
  if (!names.includes(bucketView.release)) bucketView.release = names[0];
  const choose = make("select", { id: "bucket-release", change: (event) => {
    Object.assign(bucketView, { release: event.target.value, asked: null, key: null });
    showBuckets();
  } }, names.map((name) => make("option", { value: name }, name)));
  choose.value = bucketView.release;
  bucketView.cells = Array.from({ length: 1000 }, () => make("i"));
  const find = (event) => {
    event.preventDefault();
    bucketView.key = byId("bucket-key").value;
    showBuckets();
  };
  place.replaceChildren(make("div", { class: "card" },
    make("div", { class: "row" }, make("h2", null, t("bucketsTitle")), make("label", { class: "push row" }, make("span", null, t("release")), choose)),
    make("p", { class: "quiet", id: "bucket-why" }),
    make("form", { class: "row", submit: find }, make("label", { for: "bucket-key" }, t("userId")),
      make("span", null, make("input", { id: "bucket-key", autocomplete: "off", required: true, maxlength: "200" })), make("button", { class: "first" }, t("find"))),
    make("p", { id: "bucket-found", role: "status" }),
    make("div", { class: "grid", id: "bucket-grid", role: "img" }, bucketView.cells),
    make("div", { class: "row" }, make("span", { class: "key g" }, make("i"), t("gray")), make("span", { class: "key s" }, make("i"), t("stable")),
      make("span", { class: "push quiet small", id: "bucket-sum" }))));
}

async function showBuckets() {
  makeBuckets();
  if (bucketView.release === null) return;
  const query = bucketView.key ? "?key=" + encodeURIComponent(bucketView.key) : "";
  const found = await ask("releases/" + encodeURIComponent(bucketView.release) + "/buckets" + query);
  const most = Math.max(1, ...found.requests);
  const all = found.requests.reduce((sum, one) => sum + one, 0);
  const users = found.requests.filter((one) => one > 0).length;
  setText(byId("bucket-why"), t("bucketsWhy", found));
  setText(byId("bucket-sum"), t("requestsSeen", { n: count(all), m: count(users) }));
  byId("bucket-grid").setAttribute("aria-label", t("gridLabel", found));
  bucketView.cells.forEach((cell, at) => {
    const seen = found.requests[at];
    // A few users come much more often than others: the logarithm shows both.
    cell.style.setProperty("--heat", seen === 0 ? 0 : (0.15 + 0.85 * Math.log1p(seen) / Math.log1p(most)).toFixed(3));
    const look = (at < found.admitted ? "in" : "") + (at === found.asked ? " found pulse" : "");
    if (cell.className !== look) cell.className = look;
    cell.title = t("bucket") + " " + at + ": " + count(seen);
  });
  const said = byId("bucket-found");
  if (found.asked === null) return said.replaceChildren();
  const isIn = found.asked < found.admitted;
  if (isNew("found", [bucketView.key, found.asked, found.admitted]) || !said.firstChild) {
    said.replaceChildren(make("b", null, t("foundIn", { key: bucketView.key, bucket: found.asked })),
      make("b", { class: isIn ? "gray" : "stable" }, t(isIn ? "inGray" : "inStable")), " · ", make("span", { class: "quiet" }, t("foundMore")));
  }
}
