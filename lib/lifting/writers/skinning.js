// Bodies on a 2D canvas: linear blend skinning of 7,000 vertices, and a z-buffer with light interpolated over triangles.
const skinned = (() => {
  // the same light as lib/lifting/writers/surface.py, from the viewer's upper left; axes x right, y down, z away
  const AMBIENT = 0.36, SKY = 0.16, DIFFUSE = 0.62, SHINE = 0.12, GLOSS = 24, COLOUR = [184, 199, 219];
  const unit = (v) => v.map((part) => part / Math.hypot(...v));
  const LIGHT = unit([-0.4, -0.6, -0.7]), BETWEEN = unit([LIGHT[0], LIGHT[1], LIGHT[2] - 1]);
  const MOST_SAMPLES = 1.5e6;

  function decoded(Type, text) {
    return new Type(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  }

  // means of the faces' normals at each vertex
  function normalsOf(points, faces) {
    const normals = new Float32Array(points.length);
    for (let f = 0; f < faces.length; f += 3) {
      const a = 3 * faces[f], b = 3 * faces[f + 1], c = 3 * faces[f + 2];
      const ux = points[b] - points[a], uy = points[b + 1] - points[a + 1], uz = points[b + 2] - points[a + 2];
      const vx = points[c] - points[a], vy = points[c + 1] - points[a + 1], vz = points[c + 2] - points[a + 2];
      for (const corner of [a, b, c]) {
        normals[corner] += uy * vz - uz * vy;
        normals[corner + 1] += uz * vx - ux * vz;
        normals[corner + 2] += ux * vy - uy * vx;
      }
    }
    return normals;
  }

  // Rodrigues' formula: a rotation vector to nine numbers, row by row
  function rotation(x, y, z) {
    const angle = Math.hypot(x, y, z) || 1e-12, s = Math.sin(angle) / angle, c = (1 - Math.cos(angle)) / (angle * angle);
    return [
      1 - c * (y * y + z * z), c * x * y - s * z, c * x * z + s * y,
      c * x * y + s * z, 1 - c * (x * x + z * z), c * y * z - s * x,
      c * x * z - s * y, c * y * z + s * x, 1 - c * (x * x + y * y),
    ];
  }

  function times(m, n) {
    const out = [];
    for (let i = 0; i < 9; i += 3) {
      for (let j = 0; j < 3; j++) out.push(m[i] * n[j] + m[i + 1] * n[j + 3] + m[i + 2] * n[j + 6]);
    }
    return out;
  }

  const apply = (m, x, y, z) => [0, 3, 6].map((i) => m[i] * x + m[i + 1] * y + m[i + 2] * z);

  class Body {
    // stored: what write_html stores for a person; model: its faces, parents and weights. Millimetres from here on
    constructor(model, stored) {
      this.faces = decoded(Uint16Array, model.faces);
      this.parents = model.parents;
      this.bones = decoded(Uint8Array, model.joints);
      this.weights = decoded(Uint8Array, model.weights);
      this.rest = Float32Array.from(decoded(Int16Array, stored.rest), (tenth) => tenth / 10);
      this.restNormals = normalsOf(this.rest, this.faces);
      this.joints = stored.joints;
      this.turns = decoded(Int16Array, stored.pose);
      this.places = stored.transl;
      this.vertices = new Float32Array(this.rest.length);
      this.normals = new Float32Array(this.rest.length);
      this.t = -1;
    }

    // 12 numbers per joint, a rotation and a translation, that carry the rest pose to row t
    transforms(t) {
      const count = this.parents.length, world = [], places = [], out = new Float32Array(12 * count);
      for (let k = 0; k < count; k++) {
        const parent = this.parents[k], rest = this.joints[k];
        const own = rotation(...[0, 1, 2].map((i) => this.turns[3 * (t * count + k) + i] / 1e4));
        if (parent < 0) {
          world.push(own);
          places.push(rest);
        } else {
          const along = apply(world[parent], ...rest.map((part, i) => part - this.joints[parent][i]));
          world.push(times(world[parent], own));
          places.push(along.map((part, i) => part + places[parent][i]));
        }
        const back = apply(world[k], ...rest);
        for (let i = 0; i < 3; i++) {
          out.set(world[k].slice(3 * i, 3 * i + 3), 12 * k + 4 * i);
          out[12 * k + 4 * i + 3] = places[k][i] - back[i] + this.places[t][i];
        }
      }
      return out;
    }

    // the body with vertices and normals (not of length 1) of row t, camera axes
    pose(t) {
      if (t === this.t) return this;
      this.t = t;
      const all = this.transforms(t), m = new Float32Array(12), { rest, restNormals, vertices, normals } = this;
      for (let v = 0, w = 0; v < rest.length; v += 3, w += 4) {
        m.fill(0);
        for (let i = w; i < w + 4; i++) {
          const weight = this.weights[i] / 255, from = 12 * this.bones[i];
          if (weight) for (let j = 0; j < 12; j++) m[j] += weight * all[from + j];
        }
        const x = rest[v], y = rest[v + 1], z = rest[v + 2];
        const a = restNormals[v], b = restNormals[v + 1], c = restNormals[v + 2];
        for (let i = 0; i < 3; i++) {
          vertices[v + i] = m[4 * i] * x + m[4 * i + 1] * y + m[4 * i + 2] * z + m[4 * i + 3];
          normals[v + i] = m[4 * i] * a + m[4 * i + 1] * b + m[4 * i + 2] * c;
        }
      }
      return this;
    }
  }

  const layer = document.createElement("canvas");
  let depths = new Float32Array(0);

  // project: millimetres to x, y in the canvas' units and depth; turn: the same for directions. ratio: the screen's pixels per unit
  function draw(pen, width, height, ratio, bodies, project, turn) {
    const lights = bodies.map((body) => lit(body, project, turn));
    const [left, right] = range(lights.map(({ xs }) => xs), width), [top, bottom] = range(lights.map(({ ys }) => ys), height);
    if (!(right > left && bottom > top)) return;
    const fineness = (right - left) * (bottom - top) * ratio * ratio * 4 < MOST_SAMPLES ? 2 * ratio : ratio;
    const columns = Math.round((right - left) * fineness), rows = Math.round((bottom - top) * fineness);
    layer.width = columns; // also clears it
    layer.height = rows;
    const brush = layer.getContext("2d"), image = brush.createImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    if (depths.length !== columns * rows) depths = new Float32Array(columns * rows);
    depths.fill(Infinity);
    lights.forEach(({ xs, ys, zs, light, shine }, i) => {
      // a sample's middle is a whole number
      const x = xs.map((value) => (value - left) * fineness - 0.5), y = ys.map((value) => (value - top) * fineness - 0.5);
      fill(pixels, columns, rows, bodies[i].faces, x, y, zs, light, shine);
    });
    brush.putImageData(image, 0, 0);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(layer, left, top, columns / fineness, rows / fineness);
  }

  // whole numbers around all values, within 0 to size
  function range(arrays, size) {
    let low = Infinity, high = -Infinity;
    for (const array of arrays) for (const value of array) { low = Math.min(low, value); high = Math.max(high, value); }
    return [Math.max(Math.floor(low), 0), Math.min(Math.ceil(high), size)];
  }

  // per vertex: x and y in the canvas' units, depth, light, shine
  function lit(body, project, turn) {
    const count = body.vertices.length / 3, { vertices, normals } = body;
    const [xs, ys, zs, light, shine] = [0, 1, 2, 3, 4].map(() => new Float32Array(count));
    for (let i = 0, v = 0; i < count; i++, v += 3) {
      const [x, y, z] = project(vertices[v], vertices[v + 1], vertices[v + 2]);
      const n = turn(normals[v], normals[v + 1], normals[v + 2]), length = Math.hypot(n[0], n[1], n[2]) || 1;
      const towards = (n[0] * LIGHT[0] + n[1] * LIGHT[1] + n[2] * LIGHT[2]) / length;
      const mirrored = (n[0] * BETWEEN[0] + n[1] * BETWEEN[1] + n[2] * BETWEEN[2]) / length;
      xs[i] = x;
      ys[i] = y;
      zs[i] = z;
      light[i] = AMBIENT + SKY * (0.5 - 0.5 * n[1] / length) + DIFFUSE * (0.5 + 0.5 * towards) ** 2;
      shine[i] = 255 * SHINE * Math.max(mirrored, 0) ** GLOSS;
    }
    return { xs, ys, zs, light, shine };
  }

  function fill(pixels, columns, rows, faces, xs, ys, zs, light, shine) {
    for (let f = 0; f < faces.length; f += 3) {
      const a = faces[f], b = faces[f + 1], c = faces[f + 2];
      const ax = xs[a], ay = ys[a], bx = xs[b] - ax, by = ys[b] - ay, cx = xs[c] - ax, cy = ys[c] - ay;
      const area = bx * cy - cx * by;
      if (!(area < 0)) continue; // its back
      const left = Math.max(Math.ceil(Math.min(ax, xs[b], xs[c])), 0), right = Math.min(Math.floor(Math.max(ax, xs[b], xs[c])), columns - 1);
      const top = Math.max(Math.ceil(Math.min(ay, ys[b], ys[c])), 0), bottom = Math.min(Math.floor(Math.max(ay, ys[b], ys[c])), rows - 1);
      for (let y = top; y <= bottom; y++) {
        for (let x = left; x <= right; x++) {
          const v = ((x - ax) * cy - (y - ay) * cx) / area, w = ((y - ay) * bx - (x - ax) * by) / area, u = 1 - v - w;
          if (u < -1e-4 || v < -1e-4 || w < -1e-4) continue;
          const place = y * columns + x, depth = u * zs[a] + v * zs[b] + w * zs[c];
          if (depth >= depths[place]) continue;
          depths[place] = depth;
          const l = u * light[a] + v * light[b] + w * light[c], s = u * shine[a] + v * shine[b] + w * shine[c];
          const [red, green, blue] = [Math.min(COLOUR[0] * l + s, 255), Math.min(COLOUR[1] * l + s, 255), Math.min(COLOUR[2] * l + s, 255)];
          pixels[place] = 0xff000000 | blue << 16 | green << 8 | red;
        }
      }
    }
  }

  return { Body, draw };
})();
