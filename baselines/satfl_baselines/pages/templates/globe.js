
const EARTH_M = 6371000;

/** Axes of a camera above a place: to its right, upwards, and towards it. */
function cameraAxes(latitudeDeg, longitudeDeg) {
  const [lat, lon] = [latitudeDeg, longitudeDeg].map((degrees) => (degrees * Math.PI) / 180);
  return {
    right: [-Math.sin(lon), Math.cos(lon), 0],
    up: [-Math.sin(lat) * Math.cos(lon), -Math.sin(lat) * Math.sin(lon), Math.cos(lat)],
    towards: [Math.cos(lat) * Math.cos(lon), Math.cos(lat) * Math.sin(lon), Math.sin(lat)],
  };
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

/** Base64 as bytes. */
const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** The land mask as a function of latitude and longitude in radians. */
function landMask({ width, height, bits }) {
  const packed = bytes(bits);
  return (lat, lon) => {
    const row = Math.min(Math.floor((0.5 - lat / Math.PI) * height), height - 1);
    const column = Math.floor((lon / (2 * Math.PI) + 0.5) * width) % width;
    const place = row * width + column;
    return (packed[place >> 3] >> (7 - (place & 7))) & 1;
  };
}

/** The Earth as a picture of `size` pixels, seen from a camera; its disc fills the picture. */
function earthPicture(isLand, axes, size) {
  const picture = new OffscreenCanvas(size, size);
  const context = picture.getContext("2d");
  const image = context.createImageData(size, size);
  const [sea, land] = ["sea", "land"].map((name) => colour(name).match(/[\d.]+/g).slice(0, 3).map(Number));
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      const x = ((column + 0.5) / size) * 2 - 1;
      const y = 1 - ((row + 0.5) / size) * 2;
      const beyond = x * x + y * y;
      if (beyond > 1) continue;
      const z = Math.sqrt(1 - beyond);
      const [px, py, pz] = [0, 1, 2].map((k) => x * axes.right[k] + y * axes.up[k] + z * axes.towards[k]);
      const shade = isLand(Math.asin(pz), Math.atan2(py, px)) ? land : sea;
      image.data.set([...shade, 255], (row * size + column) * 4);
    }
  }
  context.putImageData(image, 0, 0);
  return picture;
}

/**
 * A canvas that shows places in space from a camera, in front of the Earth where there is one.
 *
 * `box` is `{x, y, half}`: the middle and half the side, in metres, of the square that is shown.
 */
function makeView(canvas, box, isLand) {
  const context = canvas.getContext("2d");
  let axes = null;
  let earth = null;
  let size = 0;
  const scale = () => size / (2 * box.half);

  const view = {
    context,
    /** Prepares the canvas for a drawing from a camera. */
    begin(camera) {
      size = canvas.clientWidth;
      const ratio = devicePixelRatio || 1;
      canvas.height = canvas.width = Math.round(size * ratio);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      axes = cameraAxes(...camera);
      if (isLand) {
        const radius = EARTH_M * scale();
        const key = [...camera, size, colour("sea")].join();
        if (earth?.key !== key) earth = { key, picture: earthPicture(isLand, axes, Math.ceil(2 * radius)) };
        context.drawImage(earth.picture, size / 2 - radius, size / 2 - radius, 2 * radius, 2 * radius);
        drawGraticule(view);
      }
    },
    /** Where a place is on the canvas, in pixels, and whether the Earth hides it. */
    at(place) {
      const [x, y, z] = [dot(place, axes.right), dot(place, axes.up), dot(place, axes.towards)];
      const hidden = isLand !== null && z < 0 && Math.hypot(x, y) < EARTH_M;
      return { x: size / 2 + (x - box.x) * scale(), y: size / 2 - (y - box.y) * scale(), hidden };
    },
    /** Pixels of some metres. */
    pixels: (metres) => metres * scale(),
  };
  return view;
}

function drawGraticule(view) {
  const { context } = view;
  context.strokeStyle = colour("faint");
  context.lineWidth = 0.7;
  const place = (lat, lon) => {
    const [a, b] = [(lat * Math.PI) / 180, (lon * Math.PI) / 180];
    return [EARTH_M * Math.cos(a) * Math.cos(b), EARTH_M * Math.cos(a) * Math.sin(b), EARTH_M * Math.sin(a)];
  };
  const line = (points) => {
    context.beginPath();
    let drawing = false;
    for (const { x, y, hidden } of points.map((point) => view.at(point))) {
      if (hidden) drawing = false;
      else if (drawing) context.lineTo(x, y);
      else {
        context.moveTo(x, y);
        drawing = true;
      }
    }
    context.stroke();
  };
  const range = (from, to, step) => Array.from({ length: Math.round((to - from) / step) + 1 }, (_, k) => from + k * step);
  for (const lon of range(-180, 150, 30)) line(range(-90, 90, 3).map((lat) => place(lat, lon)));
  for (const lat of range(-60, 60, 30)) line(range(-180, 180, 3).map((lon) => place(lat, lon)));
}
