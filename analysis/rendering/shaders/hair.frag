#version 330
in vec3 place;
in vec3 normal;
in vec3 strand;
in vec4 from_lamp;
in float layer;
out vec4 seen;
uniform vec3 hair_rgb;
uniform sampler2D strands;
uniform float frequency;
uniform float cover;
uniform float edge;
//include light
void main() {
    float fine = texture(strands, vec2(strand.y * frequency, strand.z * 0.9)).r;
    float locks = texture(strands, vec2(strand.y * frequency * 0.31 + 0.37, strand.z * 0.45 + 0.2)).g;
    float grown = strand.x + (locks - 0.5) * 0.55;
    if (grown < edge + 0.3 * layer) discard;
    if (layer > 0.0 && fine < layer * 0.92 - cover) discard;
    vec3 n = normalize(normal);
    vec3 to_eye = normalize(eye - place);
    vec3 along = cross(n, cross(vec3(0, -1, 0.25), n)) + 0.15 * (locks - 0.5) * cross(n, vec3(0, 1, 0));
    along = normalize(along + vec3(1e-5));
    vec3 own = hair_rgb * (0.55 + 0.75 * fine * mix(1.0, 0.8, locks)) * mix(0.45, 1.0, layer);
    vec3 colour = own * room(n) * 1.1;
    for (int i = 0; i < 3; i++) {
        float with = dot(along, lamp_to[i]);
        float facing = dot(n, lamp_to[i]);
        float diffuse = sqrt(max(0.0, 1.0 - with * with)) * clamp(facing * 0.7 + 0.35, 0.0, 1.0);
        float lit = i == 0 ? mix(0.25, 1.0, in_light(from_lamp, 0.006)) : 1.0;
        float slant = dot(along, normalize(lamp_to[i] + to_eye)) + 0.12 * (fine - 0.5);
        float glint = pow(max(0.0, 1.0 - slant * slant), 60.0) * clamp(facing + 0.2, 0.0, 1.0);
        colour += lamp_rgb[i] * lit * (own * diffuse * 0.9 + (hair_rgb * 0.6 + 0.02) * glint * 0.35 * fine);
    }
    seen = vec4(filmed(colour), 1.0);
}
