// Light that all surfaces share: lamps, the room, the shadow of the first lamp, and the film's curve.
uniform vec3 eye;
uniform vec3 lamp_to[3];
uniform vec3 lamp_rgb[3];
uniform vec3 room_above;
uniform vec3 room_below;
uniform float hardness;
uniform sampler2D shadow_map;

float in_light(vec4 seen, float bias) {
    vec3 at = seen.xyz / seen.w * 0.5 + 0.5;
    if (abs(at.x - 0.5) > 0.49 || abs(at.y - 0.5) > 0.49) return 1.0;
    float reach = mix(4.0, 0.9, hardness) / 512.0;
    float lit = 0.0;
    for (int i = 0; i < 4; i++) {
        vec2 corner = vec2((i & 1) * 2 - 1, (i >> 1) * 2 - 1);
        corner = mat2(0.88, 0.48, -0.48, 0.88) * corner;
        lit += step(at.z - bias * (1.0 + reach * 300.0), texture(shadow_map, at.xy + corner * reach).r);
    }
    return mix(1.0, lit * 0.25, 0.35 + 0.65 * hardness);
}

vec3 room(vec3 normal) { return mix(room_below, room_above, normal.y * 0.5 + 0.5); }

float mirrored_share(float along) {  // Schlick's approximation for skin, glass and plastic
    float off = 1.0 - max(along, 0.0), square = off * off;
    return 0.04 + 0.96 * square * square * off;
}

vec3 filmed(vec3 linear) {
    vec3 c = max(linear, 0.0) * 0.8;
    c = c * (1.0 + c * 0.12) / (1.0 + c * 0.35);
    return pow(c, vec3(1.0 / 2.2));
}
