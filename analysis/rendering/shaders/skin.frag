#version 330
in vec3 place;
in vec3 normal;
in vec2 uv;
in vec3 rest;
in float reached;
in vec4 from_lamp;
flat in int part;
out vec4 seen;
uniform sampler2D face_texture;
uniform sampler2D head_texture;
uniform sampler2D fold_texture;
uniform vec4 folds;
uniform vec3 skin_rgb;
uniform vec3 cloth_rgb;
uniform vec3 iris_rgb;
uniform float shine;
uniform float mouth_open;
uniform float pupil;
uniform vec3 eye_centre[2];
uniform vec3 eye_axis[2];
//include light

const float IRIS_ANGLE = 0.47;

float chance(vec2 q) { return fract(sin(dot(q, vec2(12.9898, 78.233))) * 43758.5453); }

float noise(vec2 q) {
    vec2 cell = floor(q), f = fract(q);
    f = f * f * (3.0 - 2.0 * f);
    return mix(mix(chance(cell), chance(cell + vec2(1, 0)), f.x),
               mix(chance(cell + vec2(0, 1)), chance(cell + vec2(1, 1)), f.x), f.y);
}

vec3 bumped(vec3 n, float height) {
    vec3 dx = dFdx(place), dy = dFdy(place);
    vec3 a = cross(dy, n), b = cross(n, dx);
    float det = dot(dx, a);
    return normalize(abs(det) * n - sign(det) * (dFdx(height) * a + dFdy(height) * b));
}

struct Surface {
    vec3 colour;
    float gloss;
    float sharp;
    float glow;  // how far light goes on below the surface
    float open_to_light;
    float bias;
};

Surface face_surface(inout vec3 n) {
    vec4 painted = texture(face_texture, uv);
    float fold = dot(texture(fold_texture, uv) - 0.5, folds);
    vec3 colour = painted.rgb * painted.rgb * (1.0 + clamp(fold * 0.55, -0.45, 0.1));
    n = bumped(n, (painted.a - 0.5) * 0.05 + fold * 0.16);
    float from_lips = length((rest - vec3(0, -3.4, 11.3)) * vec3(0.42, 1.1, 0.3));
    float lips = 1.0 - smoothstep(0.6, 1.2, from_lips);
    float middle = smoothstep(2.6, 0.4, abs(rest.x)) * smoothstep(9.0, 11.0, rest.z);
    return Surface(colour, 0.22 + 0.25 * lips + 0.18 * middle, mix(18.0, 40.0, lips), 1.0, reached, 0.0025);
}

Surface head_surface() {
    vec4 painted = texture(head_texture, uv - vec2(1, 0));
    if (rest.y < -14.6 - 1.1 * cos(rest.x * 0.25) + 0.06 * rest.z)
        return Surface(cloth_rgb * (0.85 + 0.3 * noise(rest.xy * 9.0)), 0.02, 22.0, 0.0, reached, 0.0025);
    return Surface(painted.rgb * painted.rgb, 0.25, 22.0, 1.0, reached, 0.0025);
}

Surface eye_surface() {
    int side = rest.x > 0.0 ? 0 : 1;
    vec3 out_of = normalize(rest - eye_centre[side]);
    vec3 axis = eye_axis[side];
    float angle = acos(clamp(dot(out_of, axis), -1.0, 1.0));
    vec3 across = normalize(cross(vec3(0, 1, 0), axis));
    vec3 up = cross(axis, across);
    float around = atan(dot(out_of, up), dot(out_of, across));
    float r = angle / IRIS_ANGLE;
    float veins = noise(vec2(around * 9.0, angle * 14.0));
    vec3 white = vec3(0.50, 0.465, 0.44);
    white *= mix(vec3(1), vec3(1, 0.72, 0.66),
                 smoothstep(0.55, 1.1, angle) * 0.6 * veins + 0.15 * smoothstep(0.5, 1.0, angle));
    float fibres = noise(vec2(around * 22.0, r * 2.5)) * 0.6 + noise(vec2(around * 47.0, r * 4.0)) * 0.4;
    vec3 iris = iris_rgb * 0.62 * (0.55 + 0.95 * fibres) * (1.1 - 0.55 * smoothstep(0.55, 1.0, r));
    iris *= 1.0 + 0.6 * smoothstep(0.62, 0.35, r);
    iris = mix(vec3(0.006), iris, smoothstep(pupil - 0.05, pupil + 0.05, r));
    iris *= mix(1.0, 0.45, smoothstep(0.8, 1.0, r));
    vec3 colour = mix(iris, white, smoothstep(0.93, 1.07, r));
    return Surface(colour, 1.6, 260.0, 0.15, mix(0.55, 1.0, reached), 0.004);
}

Surface mouth_surface() {
    float deep = smoothstep(5.0, 10.6, rest.z);
    if (part == 2) return Surface(vec3(0.22, 0.06, 0.05), 0.1, 22.0, 1.0, 0.02 + 0.5 * deep * deep * deep, 0.0025);
    if (part == 3) return Surface(skin_rgb * vec3(0.75, 0.5, 0.45), 0.1, 22.0, 1.0, reached, 0.0025);
    float open = mix(0.45, 0.9, mouth_open);
    deep = smoothstep(6.0, 10.6, rest.z);
    if (part == 5) return Surface(vec3(0.5, 0.2, 0.18), 0.3, 40.0, 1.0, (0.1 + 0.8 * deep) * open, 0.0025);
    vec3 enamel = vec3(0.56, 0.52, 0.44) * (0.92 + 0.1 * noise(rest.xy * 6.0));
    return Surface(enamel, 0.4, 60.0, 0.3, (0.08 + 0.92 * deep * deep) * open, 0.0025);
}

void main() {
    vec3 n = normalize(normal);
    vec3 to_eye = normalize(eye - place);
    if (!gl_FrontFacing && part != 2 && part != 5) n = -n;
    Surface s;
    if (part == 0) s = face_surface(n);
    else if (part == 1) s = head_surface();
    else if (part < 7) s = mouth_surface();
    else s = eye_surface();
    float lit = in_light(from_lamp, s.bias);
    vec3 colour = s.colour * room(n) * s.open_to_light;
    vec3 glints = vec3(0);
    for (int i = 0; i < 3; i++) {
        float facing = dot(n, lamp_to[i]);
        vec3 wrap = vec3(0.28, 0.1, 0.06) * s.glow;
        vec3 diffuse = clamp((vec3(facing) + wrap) / (1.0 + wrap), 0.0, 1.0);
        float direct = i == 0 ? lit : 1.0;
        vec3 through = i == 0 ? mix(vec3(lit), vec3(1), vec3(0.18, 0.05, 0.03) * s.glow) : vec3(1);
        float open = i == 0 ? mix(1.0, s.open_to_light, 0.35) : s.open_to_light;
        colour += s.colour * diffuse * lamp_rgb[i] * through * open;
        vec3 halfway = normalize(lamp_to[i] + to_eye);
        float along = max(dot(n, halfway), 0.0);
        float square = along * along;
        float glint = pow(along, s.sharp) * (s.sharp + 8.0) / 25.1 * s.gloss;
        if (part < 2) glint += square * square * square * 14.0 / 25.1 * 0.35;
        glints += lamp_rgb[i] * glint * mirrored_share(dot(halfway, to_eye)) * shine * max(facing, 0.0) * direct * open;
    }
    float rim = 1.0 - max(dot(n, to_eye), 0.0);
    if (part < 2) colour += room(n) * rim * rim * rim * rim * 0.10 * s.open_to_light;
    if (part >= 7) glints += room_above * smoothstep(0.25, 0.9, reflect(-to_eye, n).y) * 0.05;
    seen = vec4(filmed(colour + glints), 1.0);
}
