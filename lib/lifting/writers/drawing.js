// How pages draw people on 2D canvases. 3D: whole millimetres, camera axes (x right, y down, z forward), in flat rows
// x, y, z, x, ...; 2D: tenths of a pixel, in flat rows. style: { bones, colours of the bones, grid in mm }.

function begin(canvas) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.lineCap = pen.lineJoin = "round";
  return [pen, width, height];
}

function line(pen, a, b, colour, width) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.beginPath();
  pen.moveTo(a[0], a[1]);
  pen.lineTo(b[0], b[1]);
  pen.stroke();
}

// with a white edge, to be read over images
function write(pen, text, x, y) {
  pen.fillStyle = "#222";
  pen.strokeStyle = "white";
  pen.lineWidth = 3;
  pen.font = "13px system-ui, sans-serif";
  pen.strokeText(text, x, y);
  pen.fillText(text, x, y);
}

// points: [x, y, depth] of the joints on the canvas; hollow: numbers of the joints that are drawn as rings
function drawSkeleton(pen, points, hollow, style) {
  const depth = ([a, b]) => (points[a][2] || 0) + (points[b][2] || 0);
  const order = style.bones.map((_, i) => i).sort((i, j) => depth(style.bones[j]) - depth(style.bones[i]));
  for (const i of order) line(pen, points[style.bones[i][0]], points[style.bones[i][1]], style.colours[i], 4);
  points.forEach((point, j) => {
    pen.fillStyle = hollow.includes(j) ? "white" : "#222";
    pen.strokeStyle = "#222";
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.arc(point[0], point[1], 3.2, 0, 7);
    pen.fill();
    pen.stroke();
  });
}

function drawMesh(pen, points, faces) {
  const parts = faces.map((face) => {
    const [a, b, c] = face.map((i) => points[i]);
    const u = [b[0] - a[0], b[1] - a[1], b[2] - a[2]], v = [c[0] - a[0], c[1] - a[1], c[2] - a[2]];
    const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    // lit from the viewer's upper left
    const light = Math.abs(0.4 * n[0] + 0.6 * n[1] + 0.7 * n[2]) / (Math.hypot(...n) || 1);
    return { corners: [a, b, c], depth: a[2] + b[2] + c[2], light: 0.62 + 0.38 * light };
  });
  parts.sort((p, q) => q.depth - p.depth);
  for (const { corners, light } of parts) {
    pen.fillStyle = `rgba(${[184, 199, 219].map((part) => Math.round(part * light)).join(",")},0.85)`;
    pen.strokeStyle = "rgba(51,65,85,0.45)";
    pen.lineWidth = 0.7;
    pen.beginPath();
    corners.forEach((corner) => pen.lineTo(corner[0], corner[1]));
    pen.closePath();
    pen.fill();
    pen.stroke();
  }
}

// box: left, top, right, bottom of what is shown; imageSize: width, height in pixels; image: what is drawn there, or null;
// people: [{ pose2d, imputed, label or nothing }]
function drawImagePane(canvas, style, { box, imageSize, image, people }) {
  const [pen, width, height] = begin(canvas);
  const [left, top, right, bottom] = box, room = 34;
  const scale = Math.min((width - room) / (right - left), (height - 2 * room) / (bottom - top));
  const place = (x, y) => [width / 2 + scale * (x - (left + right) / 2), height / 2 + scale * (y - (top + bottom) / 2)];
  const a = place(0, 0), b = place(imageSize[0] * 10, imageSize[1] * 10);
  pen.fillStyle = "#f9fafb";
  pen.fillRect(a[0], a[1], b[0] - a[0], b[1] - a[1]);
  if (image) pen.drawImage(image, a[0], a[1], b[0] - a[0], b[1] - a[1]);
  for (const { pose2d, imputed, label } of people) {
    const points = [];
    for (let i = 0; i < pose2d.length; i += 2) points.push(place(pose2d[i], pose2d[i + 1]));
    drawSkeleton(pen, points, imputed, style);
    if (label) drawLabel(pen, points, label);
  }
}

function drawLabel(pen, points, label) {
  const top = points.reduce((best, point) => (point[1] < best[1] ? point : best));
  write(pen, label, top[0] + 8, top[1] - 8);
}

// the box that all joints are in
class Bounds {
  low = [Infinity, Infinity, Infinity];
  high = [-Infinity, -Infinity, -Infinity];

  include(row) {
    row.forEach((value, i) => {
      this.low[i % 3] = Math.min(this.low[i % 3], value);
      this.high[i % 3] = Math.max(this.high[i % 3], value);
    });
  }

  get centre() { return this.low.map((value, i) => (value + this.high[i]) / 2); }
  get floor() { return this.high[1]; }
  get breadth() { return Math.max(this.high[0] - this.low[0], this.high[2] - this.low[2]); }

  get reach() {
    const [x, y, z] = this.high.map((value, i) => value - this.low[i]);
    return Math.max(Math.hypot(x, z), y * 1.1) / 2;
  }
}

// the 3D view of a canvas: drag to turn, wheel to zoom, double-click for the camera's view
class View3d {
  static home = { yaw: 0, pitch: 10 * Math.PI / 180, zoom: 1 };

  constructor(canvas, style) {
    Object.assign(this, { canvas, style, view: { ...View3d.home }, bounds: null, figures: [] });
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      this.view.yaw += event.movementX * 0.01;
      this.view.pitch = Math.min(Math.max(this.view.pitch + event.movementY * 0.01, -1.5), 1.5);
      this.draw();
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.view.zoom = Math.min(Math.max(this.view.zoom * Math.exp(-event.deltaY * 0.001), 0.2), 10);
      this.draw();
    }, { passive: false });
    canvas.addEventListener("dblclick", () => { this.view = { ...View3d.home }; this.draw(); });
  }

  // bounds: of what is shown; figures: [{ pose3d, mesh or null, faces, body or nothing (a posed one of skinning.js), imputed,
  // label or null, skeleton: whether to draw it }]
  show(bounds, figures) {
    Object.assign(this, { bounds, figures });
    this.draw();
  }

  draw() {
    const [pen, width, height] = begin(this.canvas);
    if (!this.bounds) return;
    const at = this.projection(width, height);
    this.drawGround(pen, at);
    const bodies = this.figures.map(({ body }) => body).filter((body) => body);
    if (bodies.length) skinned.draw(pen, width, height, window.devicePixelRatio || 1, bodies, at, this.turning());
    for (const { pose3d, mesh, faces, imputed, label, skeleton } of this.figures) {
      const joints = triples(pose3d, at);
      if (mesh) drawMesh(pen, triples(mesh, at), faces);
      if (skeleton) drawSkeleton(pen, joints, imputed, this.style);
      if (label) drawLabel(pen, joints, label);
    }
  }

  // -> (x, y, z) -> the same from the viewpoint, which goes round the vertical axis by yaw and up by pitch
  turning() {
    const { yaw, pitch } = this.view;
    const cy = Math.cos(yaw), sy = Math.sin(yaw), cp = Math.cos(pitch), sp = Math.sin(pitch);
    return (x, y, z) => {
      const depth = x * sy + z * cy;
      return [x * cy - z * sy, y * cp - depth * sp, y * sp + depth * cp];
    };
  }

  // -> (x, y, z) -> [canvas x, canvas y, depth]
  projection(width, height) {
    const { centre, reach } = this.bounds, turn = this.turning();
    const most = this.view.zoom * 0.42 * Math.min(width, height) / reach;
    return (x, y, z) => {
      [x, y, z] = turn(x - centre[0], y - centre[1], z - centre[2]);
      const scale = most * 5 * reach / Math.max(5 * reach + z, 0.1 * reach);
      return [width / 2 + scale * x, height / 2 + scale * y, z];
    };
  }

  // lines at multiples of the grid, so they stay where they are while the bounds move
  drawGround(pen, at) {
    const { grid } = this.style, { floor, breadth, centre } = this.bounds;
    const [x, , z] = centre.map((value) => Math.round(value / grid) * grid);
    const side = (Math.ceil(breadth / 2 / grid) || 1) * grid;
    for (let i = -side; i <= side; i += grid) {
      line(pen, at(x + i, floor, z - side), at(x + i, floor, z + side), "#dfe3e8", 1);
      line(pen, at(x - side, floor, z + i), at(x + side, floor, z + i), "#dfe3e8", 1);
    }
  }
}

function triples(row, map) {
  const points = [];
  for (let i = 0; i < row.length; i += 3) points.push(map(row[i], row[i + 1], row[i + 2]));
  return points;
}

function fillLegend(place, sideColours) {
  for (const name of ["right", "left"]) {
    const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
    swatch.style.background = sideColours[name];
    place.append(swatch, `${name} side \u00a0 `);
  }
}
